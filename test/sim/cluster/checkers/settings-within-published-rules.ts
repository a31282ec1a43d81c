import { NOBODY, rulesOf, synchronousNamesOf, type AckMode } from '../../../../src/model/ack-rule.ts'
import type { EpochRecord } from '../../../../src/model/epoch-record.ts'
import { Violation } from '../../checkers/violation.ts'

/**
 * What PostgreSQL is told to wait for was published before (safety.md 1). `record` is the one that the member itself goes by; a member that
 * holds nothing has commits wait for nobody that exists.
 */
export function checkSettings(
  member: {
    readonly name: string
    readonly record: EpochRecord
    readonly names: string
    readonly isPrimary: boolean
  },
  mode: AckMode | undefined,
): void {
  const { name, record, names, isPrimary } = member
  if (!record.acks || !isPrimary || names === NOBODY) return
  const links = record.acks.filter(({ holder }) => holder.name === name)
  const allowed = links.flatMap(rulesOf).map((rule) => synchronousNamesOf(rule, mode))
  if (links.length === 0 || allowed.includes(names)) return
  throw new Violation(
    `commits of ${name} wait for "${names}"; published in epoch ${record.epoch} is ${allowed.map((one) => `"${one}"`).join(' or ')}`,
    'every-sync-setting-within-published-rules',
  )
}
