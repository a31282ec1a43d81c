import { termAt, type RaftLog } from '../../../src/raft/log.ts'
import { Violation } from './violation.ts'

const CHECKER = 'log-matching'

/**
 * Raft §5.3: two logs that have an entry with the same index and term are equal up to there. Held by induction: an index and
 * a term always mean the same body and the same term before it.
 */
export class LogMatching {
  readonly #known = new Map<string, { readonly body: string; readonly prevTerm: number | undefined }>()

  /** Looks at what `after` has and `before` had not. */
  see(name: string, before: RaftLog, after: RaftLog): void {
    for (let at = after.entries.length - 1; at >= 0; at -= 1) {
      const entry = after.entries[at]
      if (entry === undefined || before.entries[entry.index - before.baseIndex - 1] === entry) return
      const prevTerm = termAt(after, entry.index - 1)
      const key = `${entry.index}@${entry.term}`
      const known = this.#known.get(key)
      if (known === undefined) {
        this.#known.set(key, { body: entry.body, prevTerm })
      } else if (known.body !== entry.body || known.prevTerm !== prevTerm) {
        throw new Violation(
          `Entry ${key} of ${name} differs from another's, or what stands before it does`,
          CHECKER,
        )
      }
    }
  }
}
