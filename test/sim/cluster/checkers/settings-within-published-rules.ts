import { NOBODY, rulesOf, synchronousNamesOf, type AckMode } from '../../../../src/model/ack-rule.ts'
import type { EpochRecord } from '../../../../src/model/epoch-record.ts'
import { Violation } from '../../checkers/violation.ts'

type Settings = {
  readonly name: string
  readonly record: EpochRecord
  readonly waitsFor: { readonly names: string; readonly isPrimary: boolean }
}

/**
 * What PostgreSQL is told to wait for was published before (safety.md 1). A member that holds nothing has commits wait for nobody that
 * exists. An agent that came back with an empty log reads how its epoch's record came to be what it is: the newest one counts.
 */
export class SettingsWithinPublishedRules {
  readonly #seen = new Map<string, Settings>()
  readonly #newest = new Map<number, EpochRecord>()

  see(settings: Settings, mode: AckMode | undefined): void {
    const { name, record, waitsFor } = settings
    const seen = this.#seen.get(name)
    // Nearly always nothing of it is new, and this looks after every event.
    if (
      seen?.record === record &&
      seen.waitsFor.names === waitsFor.names &&
      seen.waitsFor.isPrimary === waitsFor.isPrimary
    )
      return
    check({ ...settings, record: this.#newestOf(record) }, mode)
    this.#seen.set(name, settings)
  }

  #newestOf(record: EpochRecord): EpochRecord {
    const known = this.#newest.get(record.epoch)
    if (known !== undefined && known.seq >= record.seq) return known
    this.#newest.set(record.epoch, record)
    return record
  }
}

function check({ name, record, waitsFor }: Settings, mode: AckMode | undefined): void {
  const { names, isPrimary } = waitsFor
  if (!record.acks || !isPrimary || names === NOBODY) return
  const links = record.acks.filter(({ holder }) => holder.name === name)
  const allowed = links.flatMap(rulesOf).map((rule) => synchronousNamesOf(rule, mode))
  if (links.length === 0 || allowed.includes(names)) return
  throw new Violation(
    `commits of ${name} wait for "${names}"; published in epoch ${record.epoch} is ${allowed.map((one) => `"${one}"`).join(' or ')}`,
    'every-sync-setting-within-published-rules',
  )
}
