import { termAt } from '../../../src/raft/log.ts'
import type { Entry, Snapshot } from '../../../src/raft/message.ts'
import type { RaftState } from '../../../src/raft/state.ts'
import { Violation } from './violation.ts'

const CHECKER = 'committed-entries-stay'

/**
 * Raft §5.4: what one member applied, every member applies at the same index (state machine safety), nothing is left out,
 * and every later leader has it (leader completeness).
 */
export class CommittedEntriesStay {
  readonly #entries = new Map<number, Entry>()
  /** State of the machine after an index, as text. */
  readonly #images = new Map<number, string>()
  #last = 0

  get lastIndex(): number {
    return this.#last
  }

  entryAt(index: number): Entry | undefined {
    return this.#entries.get(index)
  }

  /** `before` is the index that the member had applied before this entry. */
  seeApplied(name: string, before: number, entry: Entry): void {
    if (entry.index !== before + 1)
      throw new Violation(`${name} applied entry ${entry.index} after ${before}`, CHECKER)
    const known = this.#entries.get(entry.index)
    if (known === undefined) {
      this.#entries.set(entry.index, entry)
      this.#last = Math.max(this.#last, entry.index)
    } else if (known.term !== entry.term || known.body !== entry.body) {
      throw new Violation(
        `${name} applied entry ${entry.index}@${entry.term}, another member ${known.index}@${known.term}`,
        CHECKER,
      )
    }
  }

  /** The state of a member's machine after `index`, by whatever way it came there. */
  seeImage(name: string, index: number, image: string): void {
    const known = this.#images.get(index)
    if (known === undefined) this.#images.set(index, image)
    else if (known !== image)
      throw new Violation(`The state of ${name} after entry ${index} differs from another's`, CHECKER)
  }

  seeRestored(name: string, before: number, snapshot: Snapshot): void {
    if (snapshot.index <= before)
      throw new Violation(`${name} went back from entry ${before} to ${snapshot.index}`, CHECKER)
    const known = this.#entries.get(snapshot.index)
    if (known?.term !== snapshot.term) {
      throw new Violation(
        `${name} took a snapshot at ${snapshot.index}@${snapshot.term}, which nobody committed`,
        CHECKER,
      )
    }
  }

  seeNewLeader(name: string, { log, term }: RaftState): void {
    for (let index = log.baseIndex + 1; index <= this.#last; index += 1) {
      const committed = this.#entries.get(index)
      if (committed === undefined || committed.term >= term) continue
      if (termAt(log, index) !== committed.term) {
        throw new Violation(
          `${name} leads term ${term} without the committed entry ${index}@${committed.term}`,
          CHECKER,
        )
      }
    }
  }
}
