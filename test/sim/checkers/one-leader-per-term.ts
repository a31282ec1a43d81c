import type { Message } from '../../../src/raft/message.ts'
import type { RaftState } from '../../../src/raft/state.ts'
import { Violation } from './violation.ts'

const CHECKER = 'one-leader-per-term'

/** Raft §5.2: at most one leader in a term, because nobody votes twice in it, not even after a crash. */
export class OneLeaderPerTerm {
  readonly #leaders = new Map<number, string>()
  readonly #votes = new Map<string, string>()

  seeState(name: string, { role, term }: RaftState): void {
    if (role !== 'leader') return
    const known = this.#leaders.get(term)
    if (known !== undefined && known !== name)
      throw new Violation(`${known} and ${name} both lead term ${term}`, CHECKER)
    this.#leaders.set(term, name)
  }

  /** A message that left `from`. */
  seeMessage(from: string, to: string, message: Message): void {
    if (message.kind === 'vote-response' && message.granted && !message.pre)
      this.#vote(from, message.term, to)
    if (message.kind === 'vote-request' && !message.pre) this.#vote(from, message.term, from)
  }

  #vote(voter: string, term: number, candidate: string): void {
    const key = `${voter}/${term}`
    const known = this.#votes.get(key)
    if (known !== undefined && known !== candidate) {
      throw new Violation(`${voter} voted for ${known} and for ${candidate} in term ${term}`, CHECKER)
    }
    this.#votes.set(key, candidate)
  }
}
