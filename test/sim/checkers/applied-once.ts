import type { KeyValue } from '../../../src/model/key-value.ts'
import { Violation } from './violation.ts'

const CHECKER = 'applied-once'

/** What a client was told about its one transaction on a key of its own. */
export type Told =
  | { readonly kind: 'done'; readonly revision: number }
  | { readonly kind: 'not-applied' }
  | { readonly kind: 'unknown' }

/**
 * A transaction that was acknowledged is there, with the revision that was told; one that was certainly not applied is not;
 * and none was applied twice, however often it was sent. Each client writes each key once.
 */
export function checkAppliedOnce(told: ReadonlyMap<string, Told>, entries: readonly KeyValue[]): void {
  const found = new Map(entries.map((entry) => [entry.key, entry]))
  for (const entry of entries) {
    if (entry.createRevision !== entry.modRevision)
      throw new Violation(`"${entry.key}" was written twice`, CHECKER)
  }
  for (const [key, answer] of told) {
    const entry = found.get(key)
    if (answer.kind === 'done' && entry?.modRevision !== answer.revision) {
      throw new Violation(
        `"${key}" was acknowledged at ${answer.revision}, and is at ${entry?.modRevision ?? 'none'}`,
        CHECKER,
      )
    }
    if (answer.kind === 'not-applied' && entry !== undefined) {
      throw new Violation(`"${key}" was reported as not applied, and is at ${entry.modRevision}`, CHECKER)
    }
  }
}
