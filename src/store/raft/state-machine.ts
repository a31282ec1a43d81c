import { Fault } from '../../std/fault.ts'
import { KeyValueTree, type TreeImage, type TreeOutcome } from '../key-value-tree.ts'
import { SESSIONS_MAX } from '../limits.ts'
import { decodeCommand, type TransactCommand } from './command.ts'

/** What applying one entry told the client that asked for it. */
export type Applied =
  | { readonly kind: 'opened'; readonly nonce: string; readonly session: number }
  | {
      readonly kind: 'answered'
      readonly session: number
      readonly sequence: number
      readonly answer: TreeOutcome
    }
  /** Not applied: the session is not, or no longer, known. */
  | { readonly kind: 'no-session'; readonly session: number; readonly sequence: number }
  | { readonly kind: 'ignored' }

type Session = {
  readonly nonce: string
  low: number
  usedAt: number
  readonly answers: Map<number, TreeOutcome>
}

type Image = {
  readonly format: number
  readonly tree: TreeImage
  readonly sessions: readonly SessionImage[]
}

type SessionImage = {
  readonly session: number
  readonly nonce: string
  readonly low: number
  readonly usedAt: number
  readonly answers: readonly (readonly [number, TreeOutcome])[]
}

const IMAGE_FORMAT = 1

/**
 * The tree with a memory of who asked for what, so that a transaction that had to be sent again is applied once.
 * A session is begun by an entry of its own and numbered by that entry's index: a delayed copy of a request can never
 * fall into a newer session. Invariant: equal entries give equal state on every member.
 */
export class StateMachine {
  readonly tree = new KeyValueTree()
  #sessions = new Map<number, Session>()

  /** Applies the entry at `index`. Throws `STORE_COMMAND_UNKNOWN`: to skip it would make this member's tree a different one. */
  apply(index: number, body: string): Applied {
    const command = decodeCommand(body)
    if (command === undefined) {
      throw new Fault(
        'STORE_COMMAND_UNKNOWN',
        `Cannot apply log entry ${index}: this program does not know its command; it was written by a newer one`,
        { details: { index } },
      )
    }
    if (command.kind === 'transact') return this.#transact(index, command)
    this.#sessions.set(index, { nonce: command.nonce, low: 0, usedAt: index, answers: new Map() })
    this.#evict()
    return { kind: 'opened', nonce: command.nonce, session: index }
  }

  /** What is known of a transaction whose entry may have been skipped by a snapshot. */
  answerOf(session: number, sequence: number): TreeOutcome | 'open' | 'no-session' {
    const found = this.#sessions.get(session)
    if (found === undefined) return 'no-session'
    return found.answers.get(sequence) ?? 'open'
  }

  sessionOf(nonce: string): number | undefined {
    for (const [session, { nonce: other }] of this.#sessions) if (other === nonce) return session
    return undefined
  }

  image(): string {
    const sessions = [...this.#sessions].map(([session, { nonce, low, usedAt, answers }]) => ({
      session,
      nonce,
      low,
      usedAt,
      answers: [...answers],
    }))
    const image: Image = { format: IMAGE_FORMAT, tree: this.tree.image(), sessions }
    return JSON.stringify(image)
  }

  /** The empty text is the state before the first entry. */
  restore(body: string): void {
    if (body === '') return
    const image = JSON.parse(body) as Image
    if (image.format !== IMAGE_FORMAT) {
      throw new Fault(
        'STORE_COMMAND_UNKNOWN',
        `Cannot restore the snapshot: it has format ${image.format}, this program reads ${IMAGE_FORMAT}`,
      )
    }
    this.tree.restore(image.tree)
    this.#sessions = new Map(
      image.sessions.map(({ session, nonce, low, usedAt, answers }) => [
        session,
        { nonce, low, usedAt, answers: new Map(answers) },
      ]),
    )
  }

  #transact(index: number, { session: number, sequence, low, transaction }: TransactCommand): Applied {
    const session = this.#sessions.get(number)
    if (session === undefined) return { kind: 'no-session', session: number, sequence }
    session.usedAt = index
    // Its client has given up on it or has its answer: a late copy must not be applied.
    if (sequence < session.low) return { kind: 'ignored' }
    const known = session.answers.get(sequence)
    const answer = known ?? this.tree.apply(transaction)
    session.answers.set(sequence, answer)
    session.low = Math.max(session.low, low)
    for (const answered of session.answers.keys()) {
      if (answered < session.low) session.answers.delete(answered)
    }
    return { kind: 'answered', session: number, sequence, answer }
  }

  #evict(): void {
    if (this.#sessions.size <= SESSIONS_MAX) return
    let oldest: number | undefined
    let oldestUse = Number.POSITIVE_INFINITY
    for (const [number, { usedAt }] of this.#sessions) {
      if (usedAt < oldestUse) [oldest, oldestUse] = [number, usedAt]
    }
    if (oldest !== undefined) this.#sessions.delete(oldest)
  }
}
