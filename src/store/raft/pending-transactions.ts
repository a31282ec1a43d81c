import type { Transaction, TransactionResult } from '../../model/key-value.ts'
import type { RequestRefusal } from '../../raft/effect.ts'
import { Fault } from '../../std/fault.ts'
import type { TreeOutcome } from '../key-value-tree.ts'
import { PENDING_REQUESTS_MAX } from '../limits.ts'
import { encodeCommand, type Command } from './command.ts'
import type { Applied, StateMachine } from './state-machine.ts'

type Pending = {
  readonly transaction: Transaction
  readonly resolve: (result: TransactionResult) => void
  readonly reject: (fault: Fault) => void
  readonly cancelDeadline: () => void
  /** Times that it went into a log or on its way to a leader. Above zero it may be applied at any later time. */
  sent: number
  /** The last copy was not refused; it may still be lost. */
  isOnItsWay: boolean
  /** … and there was less than one whole retry interval for an answer. */
  isFresh: boolean
}

/** Ticket of the proposal that opens a session; transactions count from 1. */
const OPEN_TICKET = 0

/**
 * The transactions of this node that have no answer yet. Each has a number in this node's session, under which it is sent
 * until this node itself has applied it; copies are recognised by the state machine.
 */
export class PendingTransactions {
  readonly #propose: (ticket: number, body: string) => void
  readonly #after: (ms: number, task: () => void) => () => void
  readonly #newNonce: () => string
  readonly #pending = new Map<number, Pending>()
  #nextSequence = OPEN_TICKET + 1
  #session: number | undefined
  #nonce: string

  constructor(deps: {
    /** May refuse later, through `refused`. */
    readonly propose: (ticket: number, body: string) => void
    readonly after: (ms: number, task: () => void) => () => void
    readonly newNonce: () => string
  }) {
    this.#propose = deps.propose
    this.#after = deps.after
    this.#newNonce = deps.newNonce
    this.#nonce = deps.newNonce()
  }

  /** True while something would have to be sent again if its message was lost. */
  get isWaiting(): boolean {
    return this.#session === undefined || this.#pending.size > 0
  }

  add(transaction: Transaction, options: { readonly deadlineMs: number }): Promise<TransactionResult> {
    if (this.#pending.size >= PENDING_REQUESTS_MAX) {
      const message = `Cannot commit the transaction: ${this.#pending.size} others wait, limit is ${PENDING_REQUESTS_MAX}`
      return Promise.reject(
        new Fault('STORE_OVERLOADED', message, { retryable: true, details: { applied: false } }),
      )
    }
    return new Promise((resolve, reject) => {
      const sequence = this.#nextSequence
      this.#nextSequence += 1
      const cancelDeadline = this.#after(options.deadlineMs, () => {
        const { sent } = this.#take(sequence) ?? { sent: 0 }
        reject(sent > 0 ? outcomeUnknown('no answer came in time') : noQuorum(options.deadlineMs))
      })
      const pending: Pending = {
        transaction,
        resolve,
        reject,
        cancelDeadline,
        sent: 0,
        isOnItsWay: false,
        isFresh: false,
      }
      this.#pending.set(sequence, pending)
      if (this.#session !== undefined) this.#send(sequence, pending)
    })
  }

  /** Sends everything that has no answer: there is another leader. Harmless at any time. */
  sendAll(): void {
    if (this.#session === undefined) return this.#open()
    for (const [sequence, pending] of this.#pending) this.#send(sequence, pending)
  }

  /** Sends again what was refused or must be taken for lost. To be called at equal intervals. */
  sendOverdue(options: {
    /** This node leads: what is in its own log cannot be lost on the way. */
    readonly isLeader: boolean
  }): void {
    if (this.#session === undefined) return this.#open()
    for (const [sequence, pending] of this.#pending) {
      const isSafe = pending.isOnItsWay && (pending.isFresh || options.isLeader)
      pending.isFresh = false
      if (!isSafe) this.#send(sequence, pending)
    }
  }

  /** A proposal that went nowhere. It is sent again when there is a leader; only a size is final. */
  refused(ticket: number, reason: RequestRefusal): void {
    const pending = this.#pending.get(ticket)
    if (pending === undefined) return
    pending.sent -= 1
    pending.isOnItsWay = false
    if (reason !== 'TOO_LARGE') return
    const message = 'Cannot commit the transaction: it is too large for one log entry'
    this.#take(ticket)?.reject(new Fault('STORE_BAD_TRANSACTION', message, { details: { applied: false } }))
  }

  /** What this node has applied, its own or another's. */
  applied(applied: Applied): void {
    switch (applied.kind) {
      case 'opened':
        if (applied.nonce === this.#nonce && this.#session === undefined) {
          this.#session = applied.session
          this.sendAll()
        }
        break
      case 'answered':
        if (applied.session === this.#session) this.#answer(applied.sequence, applied.answer)
        break
      case 'no-session':
        if (applied.session === this.#session) this.#reopen()
        break
      case 'ignored':
        break
    }
  }

  /** A snapshot took the place of entries, among them perhaps answers. */
  restored(machine: StateMachine): void {
    if (this.#session === undefined) {
      this.#session = machine.sessionOf(this.#nonce)
      if (this.#session !== undefined) this.sendAll()
      return
    }
    for (const sequence of [...this.#pending.keys()]) {
      const answer = machine.answerOf(this.#session, sequence)
      if (answer === 'open') continue
      if (answer !== 'no-session') this.#answer(sequence, answer)
      else if ((this.#pending.get(sequence)?.sent ?? 0) > 0) {
        this.#take(sequence)?.reject(outcomeUnknown('this node was away for too long'))
      }
    }
    if (machine.answerOf(this.#session, 0) === 'no-session') this.#reopen()
  }

  /** Ends everything. */
  rejectAll(reason: string): void {
    for (const [sequence, { sent }] of this.#pending) {
      const fault =
        sent > 0
          ? outcomeUnknown(reason)
          : new Fault('STORE_STOPPED', `Cannot commit the transaction: ${reason}`, {
              details: { applied: false },
            })
      this.#take(sequence)?.reject(fault)
    }
  }

  /**
   * A new session. What was sent under the old one can no longer be applied, so it may be sent under the new one; its
   * numbers go on, so that no refusal of an old copy is taken for one of a new.
   */
  #reopen(): void {
    this.#session = undefined
    this.#nonce = this.#newNonce()
    this.#open()
  }

  #open(): void {
    this.#proposeCommand(OPEN_TICKET, { kind: 'open', nonce: this.#nonce })
  }

  #send(sequence: number, pending: Pending): void {
    const session = this.#session ?? 0
    const low = Math.min(...this.#pending.keys())
    pending.sent += 1
    pending.isOnItsWay = true
    pending.isFresh = true
    this.#proposeCommand(sequence, {
      kind: 'transact',
      session,
      sequence,
      low,
      transaction: pending.transaction,
    })
  }

  #proposeCommand(ticket: number, command: Command): void {
    this.#propose(ticket, encodeCommand(command))
  }

  #answer(sequence: number, answer: TreeOutcome): void {
    const pending = this.#take(sequence)
    if (pending === undefined) return
    if (answer.kind === 'done') {
      pending.resolve({ succeeded: answer.succeeded, revision: answer.revision })
    } else {
      const message = 'Cannot commit the transaction: the store is full'
      pending.reject(new Fault('STORE_FULL', message, { details: { applied: false } }))
    }
  }

  #take(sequence: number): Pending | undefined {
    const pending = this.#pending.get(sequence)
    this.#pending.delete(sequence)
    pending?.cancelDeadline()
    return pending
  }
}

function outcomeUnknown(reason: string): Fault {
  const message = `Cannot say whether the transaction was committed: ${reason}; read before you repeat it`
  return new Fault('STORE_OUTCOME_UNKNOWN', message, { details: { reason } })
}

function noQuorum(deadlineMs: number): Fault {
  const message = `Cannot commit the transaction: no leader within ${deadlineMs} ms; a majority of the voters must be up and reach each other`
  return new Fault('STORE_NO_QUORUM', message, { retryable: true, details: { applied: false } })
}
