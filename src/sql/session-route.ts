import { hinted } from './hint.ts'
import type { PinCause, SessionEffect, TransactionModes } from './session-effect.ts'
import type { Verdict } from './verdict.ts'

export type Place = 'primary' | 'replica'

/** What becomes of a message of the client. */
export type Decision =
  /** It goes there; `begins`: what was put off goes first. */
  | { readonly kind: 'send'; readonly to: Place; readonly begins: boolean }
  /** Nothing is sent: the router answers with this tag itself. */
  | { readonly kind: 'answer'; readonly tag: 'BEGIN' | 'COMMIT' | 'ROLLBACK' | 'SET' }
  /** It would work on the replica where its transaction runs, and mean nothing there. */
  | { readonly kind: 'refuse' }

/** What ReadyForQuery says of the transaction: none, open, failed. */
export type TransactionStatus = 'I' | 'T' | 'E'

/** What the reads of a session have to find, where it says so itself; `unknown`: it asked for what is not known here. */
export type Level = 'session' | 'eventual' | 'default' | 'unknown'

/** What is known of the session beside its statements. */
export interface SessionFacts {
  /** Whether a setting is brought to whatever server connection the session gets. */
  isCarried(setting: string): boolean
  /** `default_transaction_read_only`, as the server reports it. */
  isReadOnly(): boolean
}

/** How a message came. */
export type Manner = {
  /** Whether the router could answer it itself. */
  readonly canAnswer?: boolean
  /** A hint asks for the primary. */
  readonly wantsPrimary?: boolean
}

const NOTHING_KNOWN: SessionFacts = { isCarried: () => false, isReadOnly: () => false }
/** More is nobody's way to begin a transaction. */
const PUT_OFF_MAX = 8
const ISOLATIONS: ReadonlySet<string> = new Set([
  'read uncommitted',
  'read committed',
  'repeatable read',
  'serializable',
])

/**
 * Where the messages of one session go. A transaction stays where its first statement went, a session that left something in
 * a backend stays on the primary; of the rest only proven reads go to a replica, and transactions that were declared READ ONLY
 * before anything ran in them. That is why a BEGIN is put off until the first statement, and SET TRANSACTION with it.
 * Whether a replica is there and fresh enough is not asked here: without one, the primary takes what is meant for it.
 */
export class SessionRoute {
  readonly #facts: SessionFacts
  readonly #pins = new Set<PinCause>()
  /** Where the open transaction runs. */
  #at: Place | undefined
  #putOff: TransactionModes | undefined
  #putOffCount = 0
  #wanted: Place | 'auto' = 'auto'
  #consistency: Level = 'default'
  /** What the message that runs does when it succeeds outside a transaction. */
  #pending: readonly SessionEffect[] = []
  #sentTo: Place = 'primary'
  /** The batch at hand has ended the transaction that it came into. */
  #hasEnded = false

  constructor(facts: SessionFacts = NOTHING_KNOWN) {
    this.#facts = facts
  }

  /** Why this session stays on the primary; empty: it does not. */
  get pins(): ReadonlySet<PinCause> {
    return this.#pins
  }

  get consistency(): Level {
    return this.#consistency
  }

  /** Whether something runs in a transaction; one that was put off does not count. */
  get isInTransaction(): boolean {
    return this.#at !== undefined
  }

  get isOnReplica(): boolean {
    return this.#at === 'replica'
  }

  /** The client is in a transaction that nobody has begun yet. */
  get isPutOff(): boolean {
    return this.#putOff !== undefined
  }

  /** Of a Query, or of all statements of a batch. */
  route(judged: readonly Verdict[], { canAnswer = true, wantsPrimary = false }: Manner = {}): Decision {
    const verdicts = judged.map((verdict) =>
      this.#wanted === 'auto' ? verdict : hinted(verdict, this.#wanted),
    )
    if (this.#at === 'replica') {
      return verdicts.some((verdict) => this.#isLost(verdict))
        ? { kind: 'refuse' }
        : this.#send(verdicts, 'replica')
    }
    if (this.#at !== undefined) return this.#send(verdicts, this.#at)
    if (this.#putOff !== undefined) return this.#inPutOff(verdicts, { canAnswer, begun: this.#putOff })
    const only = onlyEffect(verdicts)
    if (canAnswer && only?.kind === 'route' && only.to !== undefined) {
      this.#wanted = only.to
      return { kind: 'answer', tag: 'SET' }
    }
    if (canAnswer && only?.kind === 'consistency' && only.to !== undefined) {
      this.#consistency = only.to
      return { kind: 'answer', tag: 'SET' }
    }
    const isFree = this.#pins.size === 0 && this.#wanted !== 'primary' && this.#consistency !== 'unknown'
    if (only?.kind === 'begin' && canAnswer && isFree && !wantsPrimary) {
      this.#putOff = { readOnly: this.#facts.isReadOnly(), ...only.modes }
      this.#putOffCount = 1
      return { kind: 'answer', tag: 'BEGIN' }
    }
    if (isFree && !wantsPrimary && this.#isReadingTransaction(verdicts)) {
      this.#at = 'replica'
      return this.#send(verdicts, 'replica')
    }
    const isRead = isFree && verdicts.length > 0 && verdicts.every(({ kind }) => kind === 'read')
    return this.#send(verdicts, isRead ? 'replica' : 'primary')
  }

  /** No replica took it: it runs on the primary. */
  onPrimary(): void {
    if (this.#at !== undefined) this.#at = 'primary'
    this.#sentTo = 'primary'
  }

  /** What was sent last was not carried out. `isPutOff`: the client believes to have begun. */
  takenBack(isPutOff: boolean): void {
    this.#at = undefined
    this.#pending = []
    this.#putOff = isPutOff ? {} : undefined
  }

  /** The server has said ReadyForQuery; `failed`: with an error before it. */
  ended(status: TransactionStatus, failed: boolean): void {
    this.#hasEnded = false
    if (status === 'I') {
      // What happened in a transaction may have been rolled back: only what ran alone is believed.
      if (!failed && this.#at === undefined) this.#believe(this.#pending)
      this.#at = undefined
    } else this.#at ??= this.#sentTo
    this.#pending = []
  }

  #send(verdicts: readonly Verdict[], to: Place, begins = false): Decision {
    const effects = verdicts.flatMap((verdict) => verdict.effects)
    for (const effect of effects) {
      if (effect.kind === 'pin') this.#pins.add(effect.cause)
      if (effect.kind === 'route') this.#wanted = effect.to ?? this.#wanted
      // Order: who asks for more than there is gets the primary.
      if (effect.kind === 'consistency') this.#consistency = effect.to ?? 'unknown'
      if (this.#isLeftBehind(effect)) this.#pins.add('setting')
      if (effect.kind === 'end') this.#hasEnded = true
    }
    this.#pending = effects
    this.#sentTo = to
    return { kind: 'send', to, begins }
  }

  /** The first message after a BEGIN decides where the transaction runs. */
  #inPutOff(
    verdicts: readonly Verdict[],
    { begun, canAnswer }: { readonly begun: TransactionModes; readonly canAnswer: boolean },
  ): Decision {
    const only = onlyEffect(verdicts)
    if (canAnswer && only?.kind === 'end' && !only.chain && only.how !== 'prepare') {
      this.#putOff = undefined
      return { kind: 'answer', tag: only.how === 'commit' ? 'COMMIT' : 'ROLLBACK' }
    }
    if (canAnswer && only && isPlainModes(only) && this.#putOffCount < PUT_OFF_MAX) {
      this.#putOff = { ...begun, ...only.modes }
      this.#putOffCount += 1
      return { kind: 'answer', tag: 'SET' }
    }
    this.#putOff = undefined
    this.#at = mayLeave(begun, verdicts) ? 'replica' : 'primary'
    return this.#send(verdicts, this.#at, true)
  }

  /** A batch that begins a transaction READ ONLY, reads in it, and may end it: drivers send BEGIN with the first statement. */
  #isReadingTransaction([first, ...others]: readonly Verdict[]): boolean {
    const begin = first && onlyEffect([first])
    if (begin?.kind !== 'begin' || others.length === 0) return false
    const end = onlyEffect(others.slice(-1))
    const isEnded = end?.kind === 'end' && !end.chain && end.how !== 'prepare'
    const inside = isEnded ? others.slice(0, -1) : others
    return mayLeave({ readOnly: this.#facts.isReadOnly(), ...begin.modes }, inside)
  }

  /** A lock that nobody else sees, what the session would look for on the primary later, or a transaction that may write. */
  #isLost({ reason, about, effects, statementCount }: Verdict): boolean {
    if (reason === 'USES_ADVISORY_LOCK' || about === 'pg_export_snapshot') return true
    if (effects.some((effect) => effect.kind === 'pin' && effect.cause !== 'not-classified')) return true
    return effects.some(({ kind }) => kind === 'begin') && (statementCount > 1 || this.#hasEnded)
  }

  #believe(effects: readonly SessionEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'reset-all') this.#forgetWishes()
      if (effect.kind !== 'unpin') continue
      if (effect.cause !== 'all') {
        this.#pins.delete(effect.cause)
        continue
      }
      this.#pins.clear()
      this.#forgetWishes()
    }
  }

  #forgetWishes(): void {
    this.#wanted = 'auto'
    this.#consistency = 'default'
  }

  /** A setting that the next server connection will not have. */
  #isLeftBehind(effect: SessionEffect): boolean {
    if (effect.kind === 'set') return !effect.local && !this.#facts.isCarried(effect.name)
    if (effect.kind !== 'session-modes') return false
    const { readOnly, ...others } = effect.modes
    const isCarried = readOnly === undefined || this.#facts.isCarried('default_transaction_read_only')
    return !isCarried || Object.keys(others).length > 0
  }
}

/** Of a single statement that does one thing to its session. */
function onlyEffect(verdicts: readonly Verdict[]): SessionEffect | undefined {
  const [verdict] = verdicts
  if (verdict?.statementCount !== 1 || verdicts.length > 1) return undefined
  return verdict.effects.length === 1 ? verdict.effects[0] : undefined
}

/** What PostgreSQL takes before the first statement, whatever it says. */
function isPlainModes(
  effect: SessionEffect,
): effect is Extract<SessionEffect, { kind: 'transaction-modes' }> {
  if (effect.kind !== 'transaction-modes' || effect.snapshot) return false
  const { isolation } = effect.modes
  const isKnown = isolation === undefined || ISOLATIONS.has(isolation)
  return isKnown && Object.keys(effect.modes).length > 0
}

/** Whether a transaction that was begun so, and does this first, may run on a replica. */
function mayLeave(begun: TransactionModes, verdicts: readonly Verdict[]): boolean {
  let modes = begun
  for (const effect of verdicts.flatMap((verdict) => verdict.effects)) {
    if (effect.kind !== 'transaction-modes') continue
    if (effect.snapshot) return false
    modes = { ...modes, ...effect.modes }
  }
  const { readOnly, isolation = 'read committed' } = modes
  const isPossible = readOnly === true && ISOLATIONS.has(isolation) && isolation !== 'serializable'
  return isPossible && verdicts.length > 0 && verdicts.every(isHarmless)
}

/** In a transaction that is READ ONLY: what reads, and what ends with the transaction. */
function isHarmless({ kind, reason, effects }: Verdict): boolean {
  if (kind === 'read') return true
  if (reason === 'CONTROLS_TRANSACTION') {
    return effects.length > 0 && effects.every((effect) => effect.kind === 'transaction-modes')
  }
  return reason === 'CHANGES_SESSION' && effects.every((effect) => effect.kind === 'set' && effect.local)
}
