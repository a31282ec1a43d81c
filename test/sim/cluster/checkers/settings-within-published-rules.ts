import { NOBODY, rulesOf, synchronousNamesOf, type AckMode } from '../../../../src/model/ack-rule.ts'
import type { EpochRecord } from '../../../../src/model/epoch-record.ts'
import { Violation } from '../../checkers/violation.ts'

type Published = { readonly name: string; readonly record: EpochRecord }
/** What a PostgreSQL is told to wait for, and whether it takes writes. */
type Told = { readonly synchronousNames: string; readonly isPrimary: boolean }

/**
 * What PostgreSQL is told to wait for was published before (safety.md 1). A member that holds nothing has commits wait for nobody that
 * exists. An agent that came back with an empty log reads how its epoch's record came to be what it is: the newest one counts.
 */
export class SettingsWithinPublishedRules {
  readonly #seen = new Map<string, Published & Told>()
  readonly #newest = new Map<number, EpochRecord>()

  see({ name, record }: Published, told: Told, mode: AckMode | undefined): void {
    const seen = this.#seen.get(name)
    const { synchronousNames, isPrimary } = told
    // Nearly always nothing of it is new, and this looks after every event.
    const isSame = seen?.synchronousNames === synchronousNames && seen.isPrimary === isPrimary
    if (isSame && seen.record === record) return
    check({ name, record: this.#newestOf(record), synchronousNames, isPrimary }, mode)
    this.#seen.set(name, { name, record, synchronousNames, isPrimary })
  }

  #newestOf(record: EpochRecord): EpochRecord {
    const known = this.#newest.get(record.epoch)
    if (known !== undefined && known.seq >= record.seq) return known
    this.#newest.set(record.epoch, record)
    return record
  }
}

function check(settings: Published & Told, mode: AckMode | undefined): void {
  const { name, record, synchronousNames: names, isPrimary } = settings
  if (!record.acks || !isPrimary || names === NOBODY) return
  const links = record.acks.filter(({ holder }) => holder.name === name)
  const allowed = links.flatMap(rulesOf).map((rule) => synchronousNamesOf(rule, mode))
  if (links.length === 0 || allowed.includes(names)) return
  throw new Violation(
    `commits of ${name} wait for "${names}"; published in epoch ${record.epoch} is ${allowed.map((one) => `"${one}"`).join(' or ')}`,
    'every-sync-setting-within-published-rules',
  )
}
