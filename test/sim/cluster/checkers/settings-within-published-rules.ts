import { NOBODY, rulesOf, synchronousNamesOf, type AckMode } from '../../../../src/model/ack-rule.ts'
import type { EpochRecord } from '../../../../src/model/epoch-record.ts'
import { Violation } from '../../checkers/violation.ts'

type Settings = {
  readonly name: string
  readonly record: EpochRecord
  readonly names: string
  readonly isPrimary: boolean
}

/**
 * What PostgreSQL is told to wait for was published before (safety.md 1). `record` is the one that the member itself goes by; a member that
 * holds nothing has commits wait for nobody that exists.
 */
export class SettingsWithinPublishedRules {
  readonly #seen = new Map<string, Settings>()

  see(settings: Settings, mode: AckMode | undefined): void {
    const { name, record, names, isPrimary } = settings
    const seen = this.#seen.get(name)
    // Nearly always nothing of it is new, and this looks after every event.
    if (seen?.record === record && seen.names === names && seen.isPrimary === isPrimary) return
    check(settings, mode)
    this.#seen.set(name, settings)
  }
}

function check({ name, record, names, isPrimary }: Settings, mode: AckMode | undefined): void {
  if (!record.acks || !isPrimary || names === NOBODY) return
  const links = record.acks.filter(({ holder }) => holder.name === name)
  const allowed = links.flatMap(rulesOf).map((rule) => synchronousNamesOf(rule, mode))
  if (links.length === 0 || allowed.includes(names)) return
  throw new Violation(
    `commits of ${name} wait for "${names}"; published in epoch ${record.epoch} is ${allowed.map((one) => `"${one}"`).join(' or ')}`,
    'every-sync-setting-within-published-rules',
  )
}
