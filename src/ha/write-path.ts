import type { MonotonicMs } from '../model/time.ts'
import type { WritePathFacts } from '../model/member.ts'
import { TRY_LOOK_MS, type WritePathPolicy } from './policy.ts'
import type { Clock, CommitTry, LocalInstance } from './ports.ts'

/** A look at a try that comes this much too late means that the agent stood still itself: what it waited for proves nothing. */
const OWN_STALL_MS = 100
/** Each so many-th try makes its connection anew: a postmaster that hangs lets nobody in, while sessions that are in go on. */
const ANEW_EVERY = 10
/**
 * One look at a disk may fall between a file that goes and one that comes. And a candidate whose own disk fails in the same moment has to
 * have been heard to say so: that takes a period of its tries, what makes one slow, and a heartbeat.
 */
const FULL_LOOKS = 4

export type WritePathSubject = {
  readonly role: 'primary' | 'standby'
  readonly postmasterPid: number | undefined
}

export type WritePathOptions = {
  readonly policy: WritePathPolicy
  /** What is tried now; `undefined`: a state in which a try proves nothing. */
  readonly subject: () => WritePathSubject | undefined
  /** Says something else than before. */
  readonly onChange: () => void
}

type Deps = {
  readonly clock: Clock
  readonly instance: Pick<LocalInstance, 'tryCommit' | 'syncDisk' | 'roomBytes'>
}

/** A try that is out. The next one, when its time comes, waits for the same answer: a disk that stalls must not eat connections. */
type Open = { readonly startedAt: MonotonicMs; countedFrom: MonotonicMs; lookedAt: MonotonicMs }

/**
 * Tries whether writing works, in a small loop of its own: a disk that hangs must hang neither the lease nor the observer. It states
 * facts; `decide/step-down.ts` judges. What the agent itself missed by standing still is never held against PostgreSQL.
 */
export class WritePath {
  readonly #deps: Deps
  readonly #options: WritePathOptions
  #subject = ''
  /** Of the subject: what was begun for another one is not listened to. */
  #generation = 0
  #open: Open | undefined
  #tries = 0
  /** Tries in a row that came back late. */
  #misses = 0
  #last: WritePathFacts = { state: 'unknown' }
  #lastAt = 0 as MonotonicMs
  #stalledSince: MonotonicMs | undefined
  #fullLooks = 0
  #isLookingForRoom = false
  #cancel: () => void = () => undefined
  #isStopped = false
  #told = ''
  readonly #awaiting = new Set<() => void>()

  constructor(deps: Deps, options: WritePathOptions) {
    this.#deps = deps
    this.#options = options
  }

  get facts(): WritePathFacts {
    const { latencyMs } = this.#last
    const { state } = this
    return { state, ...(latencyMs === undefined ? {} : { latencyMs }) }
  }

  get stalledSince(): MonotonicMs | undefined {
    return this.#stalledSince
  }

  get state(): WritePathFacts['state'] {
    // What was measured of a standby says nothing of the primary that it has become since: less room is enough there.
    const role = this.#options.subject()?.role
    if (role !== undefined && !this.#subject.startsWith(role)) return 'unknown'
    if (this.#stalledSince !== undefined) return 'stalled'
    const { state } = this.#last
    if (state !== 'good' && state !== 'slow' && state !== 'full') return state
    if (this.#subject.startsWith('primary')) {
      if (this.#fullLooks >= FULL_LOOKS) return 'full'
      return state === 'full' ? 'unknown' : state
    }
    // A candidate says nothing of itself that it has not seen just now: its agent may have stood still meanwhile.
    const { periodMs, lateMs } = this.#options.policy
    return this.#deps.clock.monotonic() - this.#lastAt > periodMs + lateMs ? 'unknown' : state
  }

  start(): void {
    this.#beat()
  }

  stop(): void {
    this.#isStopped = true
    this.#cancel()
    this.#forget()
  }

  /** The host slept: a try of before says nothing, and one that is out has waited for longer than the clock says (safety.md 18). */
  distrustClock(): void {
    this.#forget()
  }

  /** Resolves when the subject stalls, at once when it does: whoever asks it something in this moment need not wait for an answer. */
  untilStalled(): { readonly stalled: Promise<void>; readonly cancel: () => void } {
    if (this.#stalledSince !== undefined) return { stalled: Promise.resolve(), cancel: () => undefined }
    let resolved: () => void = () => undefined
    const stalled = new Promise<void>((resolve) => {
      resolved = resolve
      this.#awaiting.add(resolve)
    })
    return { stalled, cancel: () => void this.#awaiting.delete(resolved) }
  }

  readonly #beat = (): void => {
    if (this.#isStopped) return
    this.#cancel = this.#deps.clock.after(this.#options.policy.periodMs, this.#beat)
    const subject = this.#options.subject()
    const name = subject ? `${subject.role} ${subject.postmasterPid}` : ''
    if (name !== this.#subject) {
      this.#forget()
      this.#subject = name
    }
    if (subject?.role === 'primary') this.#tryCommit()
    else if (subject?.role === 'standby') this.#tryDisk()
  }

  /** Another instance, or none that could be judged. */
  #forget(): void {
    this.#generation += 1
    this.#open = undefined
    this.#tries = 0
    this.#misses = 0
    this.#last = { state: 'unknown' }
    this.#stalledSince = undefined
    this.#fullLooks = 0
    this.#tell()
  }

  #tryCommit(): void {
    this.#lookForRoom()
    if (this.#open) return
    this.#tries += 1
    const anew = this.#tries % ANEW_EVERY === 0
    this.#begin(this.#options.policy.misses, this.#deps.instance.tryCommit({ anew }).then(stateOfTry))
  }

  /** Order: the room is looked at when the disk has answered. Room of now and an answer of before make no moment in which it was good. */
  #tryDisk(): void {
    if (this.#open) return
    const { instance } = this.#deps
    const tried = instance
      .syncDisk()
      .then(() => instance.roomBytes())
      .then(
        (room) => (room < this.#options.policy.roomBytes ? 'full' : 'good'),
        () => 'unknown' as const,
      )
    // A candidate that misses once is none.
    this.#begin(1, tried)
  }

  #begin(missesMax: number, tried: Promise<WritePathFacts['state']>): void {
    const { clock } = this.#deps
    const now = clock.monotonic()
    const open: Open = { startedAt: now, countedFrom: now, lookedAt: now }
    const generation = this.#generation
    this.#open = open
    this.#watch(open, missesMax)
    void tried.then((state) => {
      if (generation !== this.#generation || this.#open !== open) return
      this.#look(open)
      this.#open = undefined
      const missed = state === 'good' ? this.#missedBy(open) : 0
      this.#misses = missed === 0 ? 0 : this.#misses + missed
      if (this.#misses < missesMax) this.#stalledSince = undefined
      this.#lastAt = clock.monotonic()
      this.#last = this.#judged(state, this.#lastAt - open.startedAt)
      this.#tell()
    })
  }

  #judged(state: WritePathFacts['state'], tookMs: number): WritePathFacts {
    if (state !== 'good') return { state }
    const latencyMs = 2 ** Math.ceil(Math.log2(Math.max(1, tookMs)))
    return { state: tookMs > this.#options.policy.goodMs ? 'slow' : 'good', latencyMs }
  }

  #watch(open: Open, missesMax: number): void {
    this.#deps.clock.after(TRY_LOOK_MS, () => {
      if (this.#open !== open || this.#isStopped) return
      this.#look(open)
      if (this.#stalledSince === undefined && this.#misses + this.#missedBy(open) >= missesMax) {
        this.#stalledSince = open.startedAt
        for (const resolve of this.#awaiting) resolve()
        this.#awaiting.clear()
        this.#tell()
      }
      // Order: a candidate stops being one before a primary can be convicted whose disk began to stall in the same moment.
      const isSlow = open.lookedAt - open.countedFrom > this.#options.policy.goodMs
      if (isSlow && this.#subject.startsWith('standby') && this.#last.state === 'good') {
        this.#last = { ...this.#last, state: 'slow' }
        this.#tell()
      }
      this.#watch(open, missesMax)
    })
  }

  /** What came back while the agent stood still lies in a socket that nobody has read: the count begins anew. */
  #look(open: Open): void {
    const now = this.#deps.clock.monotonic()
    if (now - open.lookedAt <= TRY_LOOK_MS + OWN_STALL_MS) {
      open.lookedAt = now
      return
    }
    open.lookedAt = now
    open.countedFrom = now
    this.#misses = 0
  }

  /** How many tries have been missed because of this one: those that began since wait for the same answer. */
  #missedBy(open: Open): number {
    const { periodMs, lateMs } = this.#options.policy
    const waitedMs = open.lookedAt - open.countedFrom
    return waitedMs < lateMs ? 0 : 1 + Math.floor((waitedMs - lateMs) / periodMs)
  }

  #lookForRoom(): void {
    if (this.#isLookingForRoom) return
    this.#isLookingForRoom = true
    const generation = this.#generation
    const done = (room: number | undefined): void => {
      this.#isLookingForRoom = false
      if (generation !== this.#generation) return
      const hasNoRoom = room !== undefined && room < this.#options.policy.fullBytes
      const isFull = hasNoRoom || this.#last.state === 'full'
      this.#fullLooks = isFull ? this.#fullLooks + 1 : 0
      this.#tell()
    }
    this.#deps.instance.roomBytes().then(done, () => done(undefined))
  }

  #tell(): void {
    const now = this.state
    if (now === this.#told || this.#isStopped) return
    this.#told = now
    this.#options.onChange()
  }
}

function stateOfTry(tried: CommitTry): WritePathFacts['state'] {
  switch (tried) {
    case 'committed':
      return 'good'
    case 'no-room':
      return 'full'
    case 'no-slot':
      return 'no-slot'
    case 'refused':
      return 'unknown'
  }
}
