import { messageOf } from '../../std/fault.ts'
import type { Pledge } from '../../model/ack-rule.ts'
import type { EpochRecord, StepDownReason } from '../../model/epoch-record.ts'
import { SAW_NONE, type InstanceFacts, type Role, type SeenByMember } from '../../model/member.ts'
import type { MemberTags } from '../../model/member-tags.ts'
import type { MonotonicMs } from '../../model/time.ts'
import { judgeLapse } from '../decide/lapse.ts'
import type { Jobs } from '../jobs.ts'
import type { Keys } from '../keys.ts'
import type { Policy } from '../policy.ts'
import type { Clock, Guard, Knocker, LocalInstance, Notebook, Peers, Store } from '../ports.ts'
import type { RecordKeeper } from '../record-keeper.ts'
import { pauseOn } from '../pause-on.ts'
import type { WritePath } from '../write-path.ts'
import { RecoveredWal } from './recovered-wal.ts'
import { StoreObserver } from './store-observer.ts'
import type { LocalFacts, Snapshot } from '../snapshot.ts'

export type ObserverDeps = {
  readonly clock: Clock
  readonly store: Store
  readonly instance: LocalInstance
  readonly guard: Guard
  readonly peers: Peers
  readonly notebook: Notebook
  readonly keeper: RecordKeeper
  readonly jobs: Jobs
  readonly knocker: Knocker
  readonly writePath: Pick<WritePath, 'facts' | 'stalledSince' | 'untilStalled'>
}

export type ObserverOptions = {
  readonly self: string
  /** All members now, this node included while it is one, and those of them that somebody takes out. */
  readonly members: () => readonly string[]
  readonly leaving: () => readonly string[]
  readonly initialiser: string
  readonly policy: Policy
  readonly keys: Keys
  readonly managed: boolean
  readonly isWitness?: boolean
  readonly tags?: MemberTags | undefined
}

/** Bounds of one look: every snapshot is taken, whatever hangs. */
const FACTS_MS = 3000
const LOOK_MS = 1000
/** An answer that is out when PostgreSQL is found to stand still gets so long … */
const STALLED_ANSWER_MS = 30
/** … and later ones that: where a disk alone stalls it answers, and must not lose its lease for being slow. */
const STALLED_ANSWERS_MS = 300
/** The loop looks at least every 500 ms: who has not looked for so long was stopped, starved or asleep itself. */
const ATTENTION_MS = 800
const KNOCK_EVERY_MS = 100

type Directory = Awaited<ReturnType<LocalInstance['inspect']>>

/**
 * Gathers the facts of one snapshot. What changes slowly (the data directory, the end of a stopped instance's WAL) is
 * read again only after a job has touched it. It judges nothing.
 */
export class Observer {
  readonly #deps: ObserverDeps
  readonly #options: ObserverOptions
  readonly #store: StoreObserver
  readonly #startedAt: MonotonicMs
  #directory: Directory | undefined
  #isDirectoryKnown = false
  #stoppedWal: { timeline: number; endLsn: string } | undefined
  #isMeasuring = false
  #walTrouble: string | undefined
  #generation = 0
  #lastRole: { postmasterPid: number | undefined; role: Role } | undefined
  #trouble: string | undefined
  #setAside = 0
  #unstreamedSince: MonotonicMs | undefined
  #unstreamedStops = 0
  #replayedTo: string | undefined
  #crashedAt: MonotonicMs | undefined
  #convicted: LocalFacts['convicted']
  /** Whom it meant. */
  #convictedPid: number | undefined
  #isFencedByGuard = false
  #instance: InstanceFacts = { state: 'unknown' }
  #measuredUnder: SeenByMember = SAW_NONE
  #stoppingSince: MonotonicMs | undefined
  #attentiveSince: MonotonicMs
  #lookedAt: MonotonicMs
  #primarySince: MonotonicMs | undefined
  readonly #recovered = new RecoveredWal()
  readonly #streamedAt = new Map<string, MonotonicMs>()
  #holderAnswers: Snapshot['holderAnswers']
  #isKnocking = false

  constructor(deps: ObserverDeps, options: ObserverOptions) {
    this.#deps = deps
    this.#options = options
    this.#startedAt = deps.clock.monotonic()
    this.#attentiveSince = this.#startedAt
    this.#lookedAt = this.#startedAt
    this.#store = new StoreObserver(deps, options.keys)
    deps.instance.onCrash(() => {
      this.#crashedAt = deps.clock.monotonic()
      this.forgetDirectory()
    })
  }

  /** The newest facts of the local instance. */
  get instance(): InstanceFacts {
    return this.#instance
  }

  get incarnation(): string | undefined {
    return this.#directory?.incarnation
  }

  /** What is set for the whole cluster was not taken in yet. */
  get isUnconfigured(): boolean {
    return this.#store.isUnconfigured(this.#deps.notebook.parameters())
  }

  get pledge(): Pledge | undefined {
    return this.#deps.notebook.pledge()
  }

  /** An operator keeps everybody from acting by themselves, as far as this node has heard. */
  get isPaused(): boolean {
    return this.#store.isPaused
  }

  get uptimeMs(): number {
    return this.#deps.clock.monotonic() - this.#startedAt
  }

  get isStopping(): boolean {
    return this.#stoppingSince !== undefined
  }

  /** From now on the node is being shut down on purpose. */
  beginStopping(): void {
    this.#stoppingSince ??= this.#deps.clock.monotonic()
  }

  /** The instance was started as primary of an epoch that may have acknowledged already. */
  noteStartedAsPrimary(): void {
    this.#recovered.begin()
  }

  /** What it recovered is not on enough members yet. */
  get isClosed(): boolean {
    return this.#recovered.isPending
  }

  /**
   * The guard ended the instance because the lease had run out: no crash. Its holder may open again when nobody has taken
   * the epoch meanwhile, and nothing is lost then.
   */
  noteFencedByGuard(): void {
    this.#isFencedByGuard = true
    this.forgetDirectory()
  }

  /** This node is going to end its PostgreSQL, since that cannot write: what is left of it is no crash, and it does not simply start again. */
  noteConvicted(reason: StepDownReason): void {
    const { epoch = 0 } = this.#deps.keeper.record ?? {}
    const at = this.#deps.clock.monotonic()
    this.#convicted = { epoch, reason, at }
    this.#convictedPid = this.#instance.postmasterPid
  }

  /** A job changed the data directory, or the instance stopped: look again. */
  forgetDirectory(): void {
    // What was known stays in force until it has been read again: a holder must not take itself for another meanwhile.
    this.#isDirectoryKnown = false
    this.#stoppedWal = undefined
    this.#generation += 1
  }

  async observe(): Promise<Snapshot> {
    this.#noteAttention()
    this.#knock()
    const local = await this.#observeLocal()
    const { clock } = this.#deps
    const now = clock.monotonic()
    const { self, members, leaving, policy, initialiser } = this.#options
    return {
      takenAt: now,
      self,
      members: members(),
      leaving: leaving(),
      policy,
      initialiser,
      agentUptimeMs: now - this.#startedAt,
      attentiveSince: this.#attentiveSince,
      ...(this.#holderAnswers ? { holderAnswers: this.#holderAnswers } : {}),
      stopping: this.#stoppingSince !== undefined,
      stoppingForMs: this.#stoppingSince === undefined ? 0 : now - this.#stoppingSince,
      store: this.#store.observe(),
      local,
      peers: this.#deps.peers.facts(),
    }
  }

  #noteAttention(): void {
    const now = this.#deps.clock.monotonic()
    if (now - this.#lookedAt > ATTENTION_MS) this.#attentiveSince = now
    this.#lookedAt = now
  }

  /** While the holder is silent, its host's kernel is asked, over and over; the answer is a fact of a later snapshot. */
  #knock(): void {
    const { clock, keeper, peers, knocker } = this.#deps
    const { self, policy } = this.#options
    const { record } = keeper
    if (!record?.acks || record.holder === self) return
    const now = clock.monotonic()
    const holder = peers.facts().find(({ name }) => name === record.holder)
    if (now - (holder?.heardAt ?? 0) <= policy.silenceLimitMs / 2) {
      this.#holderAnswers = undefined
      return
    }
    if (this.#isKnocking || now - (this.#holderAnswers?.at ?? 0) < KNOCK_EVERY_MS) return
    const at = holder?.facts ?? this.#store.addresses[record.holder]
    if (!at) return
    this.#isKnocking = true
    void knocker
      .knock({ host: at.host, port: at.port })
      .then((answer) => {
        this.#holderAnswers = { answer, at: clock.monotonic() }
      })
      .finally(() => {
        this.#isKnocking = false
      })
  }

  #noteStandbys({ state, role, walSenders = [] }: InstanceFacts): void {
    const now = this.#deps.clock.monotonic()
    if (state !== 'running' || role !== 'primary') {
      this.#primarySince = undefined
      this.#streamedAt.clear()
      return
    }
    this.#primarySince ??= now
    for (const sender of walSenders) if (sender.state === 'streaming') this.#streamedAt.set(sender.name, now)
  }

  /** The record as it was known when `instance` was measured: what this node tells others beside its position. */
  get measuredUnder(): SeenByMember {
    return this.#measuredUnder
  }

  #seen(): SeenByMember {
    const { keeper, clock } = this.#deps
    const record = keeper.record
    if (!record) return SAW_NONE
    const { epoch, seq, state } = record
    return {
      epoch,
      seq,
      state,
      expired: this.#isExpired(record, clock.monotonic()),
      witnessed: keeper.witnessed,
    }
  }

  #isExpired(record: EpochRecord, now: MonotonicMs): boolean {
    const { policy } = this.#options
    const store = { firstSeenAt: this.#deps.keeper.firstSeenAt }
    return judgeLapse({ takenAt: now, policy, self: this.#options.self, store }, record).kind === 'expired'
  }

  async #observeLocal(): Promise<LocalFacts> {
    const { instance, jobs, guard, keeper, notebook } = this.#deps
    // Order: the record is looked at before the position is measured, so a position is never older than it says.
    const seen = this.#seen()
    this.#trouble = undefined
    const facts = this.#withLastRole(await this.#ask())
    this.#measuredUnder = seen
    this.#noteStreaming(facts)
    this.#noteStandbys(facts)
    this.#recovered.look(facts, keeper.record?.acks?.at(-1))
    if (facts.state === 'running') {
      this.#crashedAt = undefined
      this.#isFencedByGuard = false
      if (facts.postmasterPid !== this.#convictedPid) this.#convicted = undefined
    }
    if (!this.#isDirectoryKnown && jobs.running === undefined) await this.#inspect()
    const directory = this.#directory?.directory ?? 'unknown'
    const isDown = facts.state === 'stopped' || facts.state === 'crashed'
    if (!isDown) this.#stoppedWal = this.#walTrouble = undefined
    else if (directory === 'instance' && jobs.running === undefined) this.#measureStoppedWal()
    this.#instance = this.#withJob(facts)
    const promotion = notebook.promotedIn()
    const watchdog = guard.watchdog()
    const pledge = notebook.pledge()
    const { incarnation, rewindObstacle } = this.#directory ?? {}
    const following = instance.following()
    const isOwnPromotion = promotion !== undefined && promotion.incarnation === incarnation
    return {
      managed: this.#options.managed,
      ...(this.#options.isWitness ? { isWitness: true as const } : {}),
      directory,
      ...(incarnation === undefined ? {} : { incarnation }),
      instance: this.#instance,
      ...(jobs.running === undefined ? {} : { job: jobs.running }),
      ...(this.#stoppedWal ? { stoppedWal: this.#stoppedWal } : {}),
      ...(isOwnPromotion ? { promotedInEpoch: promotion.epoch } : {}),
      ...(this.#crashedAt === undefined || this.#isFencedByGuard ? {} : { crashedAt: this.#crashedAt }),
      ...this.#observeWriting(),
      startFailures: jobs.startFailures,
      cloneFailures: jobs.cloneFailures,
      ...(rewindObstacle === undefined ? {} : { rewindObstacle }),
      ...(jobs.rewindFailure === undefined ? {} : { rewindFailure: jobs.rewindFailure }),
      retryAt: jobs.retryAt,
      ...(this.isClosed ? { isClosed: true as const } : {}),
      ...(this.#store.isReinitAsked(this.#options.self, incarnation) ? { reinitAsked: true } : {}),
      ...(this.isUnconfigured ? { unconfigured: true } : {}),
      ...(this.#store.isRestartAsked(this.#options.self, this.#instance) ? { restartAsked: true } : {}),
      ...(notebook.isGuardReleased() ? { guardReleased: true } : {}),
      ...(following ? { following } : {}),
      ...(this.#unstreamedSince === undefined ? {} : { unstreamedSince: this.#unstreamedSince }),
      unstreamedStops: this.#unstreamedStops,
      ...(pledge ? { pledge } : {}),
      streamedAt: Object.fromEntries(this.#streamedAt),
      ...(this.#primarySince === undefined ? {} : { primarySince: this.#primarySince }),
      guard: guard.state(),
      ...(watchdog ? { watchdog } : {}),
      ...(this.#options.tags ? { tags: this.#options.tags } : {}),
      provedLease: keeper.hasProved,
      setAside: this.#setAside,
    }
  }

  /** Whoever stands still does not answer either: once that is known nobody waits for it. */
  async #ask(): Promise<InstanceFacts> {
    const { instance, writePath, clock } = this.#deps
    const limitMs = writePath.stalledSince === undefined ? STALLED_ANSWER_MS : STALLED_ANSWERS_MS
    const { stalled, cancel } = writePath.untilStalled()
    const asked = this.#within(FACTS_MS, 'ask PostgreSQL', () => instance.facts())
    const { postmasterPid } = this.#instance
    const late = stalled.then(async (): Promise<InstanceFacts> => {
      await pauseOn(clock, limitMs)
      return { state: 'unknown', ...(postmasterPid === undefined ? {} : { postmasterPid }) }
    })
    try {
      return (await Promise.race([asked, late])) ?? { state: 'unknown' }
    } finally {
      cancel()
    }
  }

  #observeWriting(): Pick<LocalFacts, 'writePath' | 'convicted'> {
    if (!this.#options.managed) return {}
    const { facts, stalledSince } = this.#deps.writePath
    return {
      writePath: { ...facts, ...(stalledSince === undefined ? {} : { stalledSince }) },
      ...(this.#convicted ? { convicted: this.#convicted } : {}),
    }
  }

  #noteStreaming({ state, role, streaming, replayLsn }: InstanceFacts): void {
    // What it replays and nobody streams comes from an archive, or lay here: as long as that goes on it is on its way.
    const isFed = replayLsn !== undefined && replayLsn !== this.#replayedTo
    this.#replayedTo = replayLsn
    if (state === 'running' && role === 'standby' && streaming !== true) {
      const now = this.#deps.clock.monotonic()
      // Whoever is pointed at nobody waits for somebody: that is no trouble of its own.
      if (this.#deps.instance.following())
        this.#unstreamedSince = isFed ? now : (this.#unstreamedSince ?? now)
      else this.#unstreamedSince = undefined
    } else if (state === 'running') {
      this.#unstreamedStops = 0
      this.#unstreamedSince = undefined
    } else if (state === 'stopped' || state === 'crashed' || state === 'absent') {
      // What lies between (it is stopping, it does not answer) says nothing about why.
      if (this.#unstreamedSince !== undefined && state === 'stopped') this.#unstreamedStops += 1
      this.#unstreamedSince = undefined
    }
  }

  async #inspect(): Promise<void> {
    const { instance } = this.#deps
    const generation = this.#generation
    await this.#within(LOOK_MS, 'look at the data directory', async () => {
      const directory = await instance.inspect()
      const setAside = await instance.countSetAside()
      if (generation !== this.#generation) return
      this.#directory = directory
      this.#setAside = setAside
      this.#isDirectoryKnown = true
    })
  }

  /** Gigabytes of WAL may have to be read, and a take-over does not wait for it: the result is a fact of a later snapshot. */
  #measureStoppedWal(): void {
    if (this.#stoppedWal || this.#isMeasuring) return
    const generation = this.#generation
    this.#isMeasuring = true
    void this.#deps.instance.endOfWal().then(
      (wal) => {
        this.#isMeasuring = false
        this.#walTrouble = undefined
        if (generation === this.#generation) this.#stoppedWal = wal
        this.#deps.jobs.changed()
      },
      (error: unknown) => {
        // Tried again with the next look: the loop is not woken for it.
        this.#isMeasuring = false
        this.#walTrouble = `Cannot find the end of its WAL: ${messageOf(error)}`
      },
    )
  }

  /** A failed or late look is a fact as well: it must never stop the decisions that fence. */
  async #within<T>(ms: number, what: string, look: () => Promise<T>): Promise<T | undefined> {
    let cancel = (): void => undefined
    const late = new Promise<undefined>((resolve) => {
      cancel = this.#deps.clock.after(ms, () => {
        this.#trouble = `Cannot ${what}: no answer within ${ms} ms`
        resolve(undefined)
      })
    })
    try {
      return await Promise.race([look(), late])
    } catch (error) {
      this.#trouble = `Cannot ${what}: ${messageOf(error)}`
      return undefined
    } finally {
      cancel()
    }
  }

  /** A postmaster that does not answer, or is going down, is what it was when it last answered. */
  #withLastRole(facts: InstanceFacts): InstanceFacts {
    const { role, postmasterPid } = facts
    if (role !== undefined) {
      this.#lastRole = { postmasterPid, role }
      return facts
    }
    const isDown = facts.state === 'stopped' || facts.state === 'crashed' || facts.state === 'absent'
    if (isDown || !this.#lastRole || this.#lastRole.postmasterPid !== postmasterPid) return facts
    return { ...facts, role: this.#lastRole.role }
  }

  /** A stopped instance cannot be asked: system id and position come from its files. */
  #withJob(facts: InstanceFacts): InstanceFacts {
    const trouble = this.#deps.jobs.trouble ?? this.#trouble ?? this.#walTrouble
    const systemId = facts.systemId ?? this.#directory?.systemId
    const wal = this.#stoppedWal
    return {
      ...facts,
      ...(systemId === undefined ? {} : { systemId }),
      ...(wal ? { timeline: wal.timeline, flushLsn: wal.endLsn } : {}),
      ...(trouble === undefined ? {} : { trouble }),
    }
  }
}
