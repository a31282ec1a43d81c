import { hinted } from './hint.ts'
import type { PinCause, SessionEffect, TransactionModes } from './session-effect.ts'
import type { Verdict } from './verdict.ts'

export type Place = 'primary' | 'replica'

/** What becomes of a message of the client. */
export type Decision =
  /** It goes there; with `begins` a BEGIN of these modes goes first, which was put off. */
  | { readonly kind: 'send'; readonly to: Place; readonly begins?: TransactionModes }
  /** Nothing is sent: the router answers with this tag itself. */
  | { readonly kind: 'answer'; readonly tag: 'BEGIN' | 'COMMIT' | 'ROLLBACK' | 'SET' }
  /** It would work on the replica where its transaction runs, and mean nothing there. */
  | { readonly kind: 'refuse' }

/** What ReadyForQuery says of the transaction: none, open, failed. */
export type TransactionStatus = 'I' | 'T' | 'E'

/**
 * Where the messages of one session go. A transaction stays where its first statement went, a session that left something in
 * a backend stays with that backend, which is the primary's; of the rest only proven reads go to a replica, and transactions
 * that were declared READ ONLY before anything ran in them. That is why a BEGIN is put off until the first statement.
 * Whether a replica is there and fresh enough is not asked here: without one, the primary takes what is meant for it.
 */
export class SessionRoute {
  readonly #pins = new Set<PinCause>()
  /** Where the open transaction runs. */
  #at: Place | undefined
  #putOff: TransactionModes | undefined
  #wanted: Place | 'auto' = 'auto'
  /** Of transactions that say nothing else. */
  #defaults: TransactionModes = {}
  /** What the message that runs does when it succeeds outside a transaction. */
  #pending: readonly SessionEffect[] = []
  #sentTo: Place = 'primary'

  /** Why this session keeps its backend; empty: it does not. */
  get pins(): ReadonlySet<PinCause> {
    return this.#pins
  }

  /** Whether something runs in a transaction; one that was put off does not count. */
  get isInTransaction(): boolean {
    return this.#at !== undefined
  }

  route(judged: Verdict): Decision {
    const verdict = this.#wanted === 'auto' ? judged : hinted(judged, this.#wanted)
    const only = onlyEffect(verdict)
    if (this.#at === 'replica' && isLostOnReplica(verdict)) return { kind: 'refuse' }
    if (this.#at !== undefined) return this.#send(verdict, this.#at)
    if (only?.kind === 'route' && only.to !== undefined && this.#putOff === undefined) {
      this.#wanted = only.to
      return { kind: 'answer', tag: 'SET' }
    }
    if (this.#putOff !== undefined) return this.#inPutOff(verdict, this.#putOff)
    if (only?.kind === 'begin' && this.#pins.size === 0) {
      this.#putOff = { ...this.#defaults, ...only.modes }
      return { kind: 'answer', tag: 'BEGIN' }
    }
    const isFree =
      verdict.kind === 'read' && this.#pins.size === 0 && this.#defaults.isolation !== 'serializable'
    return this.#send(verdict, isFree ? 'replica' : 'primary')
  }

  /** The server has said ReadyForQuery; `failed`: with an error before it. */
  ended(status: TransactionStatus, failed: boolean): void {
    if (status === 'I') {
      // What happened in a transaction may have been rolled back: only what ran alone is believed.
      if (!failed && this.#at === undefined) this.#believe(this.#pending)
      this.#at = undefined
    } else this.#at ??= this.#sentTo
    this.#pending = []
  }

  #send(verdict: Verdict, to: Place, begins?: TransactionModes): Decision {
    for (const effect of verdict.effects) if (effect.kind === 'pin') this.#pins.add(effect.cause)
    this.#pending = verdict.effects
    this.#sentTo = to
    return { kind: 'send', to, ...(begins === undefined ? {} : { begins }) }
  }

  /** The first message after a BEGIN decides where the transaction runs. */
  #inPutOff(verdict: Verdict, begun: TransactionModes): Decision {
    const only = onlyEffect(verdict)
    if (only?.kind === 'end' && !only.chain && only.how !== 'prepare') {
      this.#putOff = undefined
      return { kind: 'answer', tag: only.how === 'commit' ? 'COMMIT' : 'ROLLBACK' }
    }
    let modes = begun
    let hasSnapshot = false
    for (const one of verdict.effects) {
      if (one.kind !== 'transaction-modes') continue
      modes = { ...modes, ...one.modes }
      hasSnapshot ||= one.snapshot
    }
    this.#putOff = undefined
    const mayLeave = modes.readOnly === true && modes.isolation !== 'serializable' && !hasSnapshot
    this.#at = mayLeave && isHarmless(verdict) ? 'replica' : 'primary'
    return this.#send(verdict, this.#at, begun)
  }

  #believe(effects: readonly SessionEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'unpin') this.#unpin(effect.cause)
      if (effect.kind === 'reset-all' || (effect.kind === 'unpin' && effect.cause === 'all'))
        this.#defaults = {}
      if (effect.kind === 'session-modes') this.#defaults = { ...this.#defaults, ...effect.modes }
      if (effect.kind === 'set') this.#setDefault(effect)
    }
  }

  #unpin(cause: PinCause | 'all'): void {
    if (cause === 'all') this.#pins.clear()
    else this.#pins.delete(cause)
  }

  #setDefault({ name, value }: Extract<SessionEffect, { kind: 'set' }>): void {
    if (name === 'default_transaction_read_only')
      this.#defaults = { ...this.#defaults, readOnly: isTrue(value) }
    if (name === 'default_transaction_isolation') {
      this.#defaults = { ...this.#defaults, isolation: value?.toLowerCase() ?? '' }
    }
  }
}

/** Of a single statement that does one thing to its session. */
function onlyEffect({ statementCount, effects }: Verdict): SessionEffect | undefined {
  return statementCount === 1 && effects.length === 1 ? effects[0] : undefined
}

/** In a transaction that is READ ONLY: what reads, and what ends with the transaction. */
function isHarmless({ kind, reason, effects }: Verdict): boolean {
  if (kind === 'read') return true
  if (reason === 'CONTROLS_TRANSACTION') return effects.every((effect) => effect.kind === 'transaction-modes')
  return reason === 'CHANGES_SESSION' && effects.every((effect) => effect.kind === 'set' && effect.local)
}

/** A lock that nobody else sees, or what a session would look for on the primary later. */
function isLostOnReplica({ reason, effects }: Verdict): boolean {
  return reason === 'USES_ADVISORY_LOCK' || effects.some(({ kind }) => kind === 'pin')
}

/** Only what is surely on: anything else leaves transactions on the primary. */
function isTrue(value: string | undefined): boolean {
  return value === 'on' || value === 'true' || value === '1'
}
