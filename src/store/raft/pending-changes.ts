import { isIncarnation } from '../../raft/member-id.ts'
import type {
  ChangeAttempt,
  ChangeVerdict,
  MembershipChange,
  MembershipRefusal,
} from '../../raft/membership-change.ts'
import { PENDING_CHANGES_MAX } from '../limits.ts'

export type MembershipOutcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'refused'; readonly reason: MembershipRefusal; readonly message: string }
  /** Asked, and nobody answered before the deadline: it may have been made, or still be. */
  | { readonly kind: 'unknown' }

type Pending = {
  readonly change: MembershipChange
  readonly finish: (outcome: MembershipOutcome) => void
  attempt: number
  /** Attempts that may have reached a leader. */
  sent: number
}

/** The membership changes that this node asked for and has no answer to. Each is asked again under its id, and made once. */
export class PendingChanges {
  readonly #ask: (request: ChangeAttempt) => void
  readonly #after: (ms: number, task: () => void) => () => void
  readonly #nonce: string
  readonly #pending = new Map<string, Pending>()
  #count = 0

  constructor(deps: {
    readonly ask: (request: ChangeAttempt) => void
    readonly after: (ms: number, task: () => void) => () => void
    /** Unique to this start: a late answer to an earlier life must answer nothing. */
    readonly nonce: string
  }) {
    this.#ask = deps.ask
    this.#after = deps.after
    this.#nonce = deps.nonce
  }

  get isWaiting(): boolean {
    return this.#pending.size > 0
  }

  start(change: MembershipChange, options: { readonly deadlineMs: number }): Promise<MembershipOutcome> {
    if (change.kind === 'add-learner' && !isIncarnation(change.incarnation)) {
      return Promise.resolve(refused('NOT_READY', `"${change.incarnation}" is no usable incarnation`))
    }
    if (this.#pending.size >= PENDING_CHANGES_MAX) {
      const message = `${this.#pending.size} other changes of members wait here`
      return Promise.resolve(refused('CHANGE_IN_PROGRESS', message))
    }
    return new Promise((resolve) => {
      this.#count += 1
      const id = `${this.#nonce}.${this.#count}`
      const cancelDeadline = this.#after(options.deadlineMs, () => this.#tooLate(id, options.deadlineMs))
      const finish = (outcome: MembershipOutcome): void => {
        this.#pending.delete(id)
        cancelDeadline()
        resolve(outcome)
      }
      const pending: Pending = { change, finish, attempt: 0, sent: 0 }
      this.#pending.set(id, pending)
      this.#send(id, pending)
    })
  }

  /** Asks again for everything that has no answer. Harmless at any time. */
  askAll(): void {
    for (const [id, pending] of this.#pending) this.#send(id, pending)
  }

  answered({ id, attempt, verdict }: { id: string; attempt: number; verdict: ChangeVerdict }): void {
    const pending = this.#pending.get(id)
    if (pending === undefined) return
    if (verdict.kind === 'done') return pending.finish({ kind: 'done' })
    // Only the answer to the last attempt says that none will be made: a leader refuses all that come before it as well.
    if (attempt !== pending.attempt) return
    const { reason, message, isFulfilled } = verdict
    if (reason === 'NOT_LEADER') {
      // It went nowhere, and waits for a leader.
      pending.sent -= 1
      return
    }
    const wasAskedBefore = pending.sent > 1
    // An earlier leader may have made it, and lost its word before it could say so.
    if (wasAskedBefore && isFulfilled) return pending.finish({ kind: 'done' })
    // … or it may still be in a log whose fate a leader without an entry of its own term cannot tell.
    if (wasAskedBefore && reason === 'NOT_READY') return
    pending.finish(refused(reason, message))
  }

  /** Ends everything that waits. */
  end(): void {
    for (const { sent, finish } of [...this.#pending.values()]) {
      finish(sent > 0 ? { kind: 'unknown' } : refused('NOT_LEADER', 'the store was stopped'))
    }
  }

  #send(id: string, pending: Pending): void {
    pending.attempt += 1
    pending.sent += 1
    this.#ask({ id, attempt: pending.attempt, change: pending.change })
  }

  #tooLate(id: string, deadlineMs: number): void {
    const pending = this.#pending.get(id)
    if (pending === undefined) return
    const outcome: MembershipOutcome =
      pending.sent > 0
        ? { kind: 'unknown' }
        : refused('NOT_LEADER', `no leader within ${deadlineMs} ms; a majority of the voters must be up`)
    pending.finish(outcome)
  }
}

function refused(
  reason: MembershipRefusal,
  message: string,
): MembershipOutcome & { readonly kind: 'refused' } {
  return { kind: 'refused', reason, message }
}
