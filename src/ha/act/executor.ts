import { codeOf, Fault, messageOf } from '../../std/fault.ts'
import { clusterParameters } from '../../model/dynamic-config.ts'
import { present, unreachable } from '../../std/assert.ts'
import { isHeld } from '../../model/epoch-record.ts'
import { isJob, type Action, type Divergence, type JobAction, type StanceReason } from '../decision.ts'
import { NO_ACKS, NOBODY, synchronousNamesOf } from '../../model/ack-rule.ts'
import { runsUntil } from '../policy.ts'
import { changeAcks } from './change-acks.ts'
import { drain } from './drain.ts'
import {
  claimFirstEpoch,
  confirmFork,
  giveAnotherTimeline,
  markOpen,
  openEpoch,
  releaseEpoch,
  resumeEpoch,
  retireAcks,
  takeEpoch,
} from './change-record.ts'
import type { World } from './world.ts'

/** Slots are compared with the members again after so long, even when nothing changed. */
const SLOTS_PERIOD_MS = 10_000
/** A shutdown for a hand-over that takes longer is ended by force, and becomes a crash. */
const HAND_OVER_STOP_MS = 5_000
const STOP_MS = 6_000

/**
 * Carries actions out. Each re-checks its own condition at the last moment; long ones run as jobs, so that the loop
 * goes on. Every one may be begun again after a crash in its middle.
 */
export class Executor {
  readonly #world: World
  #slotsOf = ''
  #slotsAt = 0
  /** Routers let no new transaction begin from here on: the primary is about to move. */
  #isHandingOver = false
  #admitsIn: number | undefined
  /** Up to where those who have to have this epoch's commits had the WAL when it was taken. */
  #shared: { readonly epoch: number; readonly endLsn: string } | undefined

  constructor(world: World) {
    this.#world = world
  }

  get isHandingOver(): boolean {
    return this.#isHandingOver
  }

  /** Epoch in which clients may come to this primary although it is not open yet. */
  get admitsIn(): number | undefined {
    return this.#admitsIn
  }

  async run(action: Action): Promise<void> {
    if (isJob(action)) this.#world.jobs.begin(action.kind, this.#workOf(action))
    else await this.#runNow(action)
  }

  /** What takes long and works on the instance. */
  #workOf(action: JobAction): () => Promise<void> {
    switch (action.kind) {
      case 'mark-open':
        return () => this.#markOpen(action.epoch)
      case 'promote':
        return () => this.#promote(action.epoch)
      case 'pledge':
        return () => this.#pledge(action.epoch)
      case 'change-acks':
        return () => changeAcks(this.#world, action.to)
      case 'configure':
        return () => this.#configure()
      case 'release':
        return () => this.#changingDirectory(() => this.#release(action))
      case 'initialise':
        return () => this.#changingDirectory(() => this.#initialise())
      case 'start':
        return () => this.#changingDirectory(() => this.#startAnew(() => this.#start(action)))
      case 'restart':
        return () => this.#changingDirectory(() => this.#startAnew(() => this.#restart(action)))
      case 'clone':
        return () => this.#changingDirectory(() => this.#clone(action))
      case 'rewind':
        return () => this.#changingDirectory(() => this.#rewind(action))
      case 'fence':
        return () => this.#changingDirectory(() => this.#fence(action.reason))
      case 'stop':
        return () => this.#changingDirectory(() => this.#stop())
      case 'hand-over':
        return () => this.#changingDirectory(() => this.#handOver(action))
      default:
        return unreachable(action)
    }
  }

  async #runNow(action: Exclude<Action, JobAction>): Promise<void> {
    const world = this.#world
    const { instance, keys, store, guard, observer } = world
    switch (action.kind) {
      case 'bootstrap':
        await claimFirstEpoch(world)
        return
      case 'take-over':
        return this.#takeOver(action)
      case 'open-epoch': {
        const outcome = await openEpoch(world, action)
        world.log.info('Epoch begun', { epoch: action.epoch, reason: action.reason, outcome: outcome.kind })
        return
      }
      case 'resume-epoch':
        await resumeEpoch(world, action)
        return
      case 'hold-commits':
        return instance.setSynchronousNames(NOBODY)
      case 'retire-acks':
        // Order: the guard holds the end of the lease alone, before anybody may take over because that has passed.
        await guard.disarmAndConfirm()
        await this.#armGuard()
        await retireAcks(world)
        return
      case 'arm-guard':
        if (this.#isRightProven()) await this.#armGuard()
        return
      case 'release-guard':
        return this.#releaseGuard()
      case 'clear-request':
        await store.transact(
          {
            compares: [{ kind: 'mod', key: keys.failover, revision: action.revision }],
            operations: [{ kind: 'delete', key: keys.failover }],
          },
          { deadlineMs: world.writeDeadlineMs },
        )
        return
      case 'sync-slots':
        return this.#syncSlots(action.members)
      case 'follow':
        return instance.follow(action.upstream)
      case 'remove-set-aside':
        await instance.removeSetAside()
        observer.forgetDirectory()
        return
      default:
        unreachable(action)
    }
  }

  async #changingDirectory(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } finally {
      this.#world.observer.forgetDirectory()
    }
  }

  async #initialise(): Promise<void> {
    // A deadline that passed would end initdb as well.
    const { guard, keeper, instance, notebook } = this.#world
    const epoch = keeper.record?.epoch
    await guard.disarmAndConfirm()
    // If another member creates the cluster meanwhile, this directory is known for what it is: never opened, nobody's data.
    // Order: known before it is there, since this agent can end in between.
    await instance.initialise(async (incarnation) => {
      if (epoch !== undefined) await notebook.writePromotion({ epoch, incarnation })
    })
  }

  async #takeOver(action: Extract<Action, { kind: 'take-over' }>): Promise<void> {
    const outcome = await takeEpoch(this.#world, action)
    const { epoch, sharedTo } = action
    this.#shared =
      outcome.kind === 'committed' && sharedTo !== undefined ? { epoch, endLsn: sharedTo } : undefined
    this.#world.log.info('Take-over', { epoch: action.epoch, reason: action.reason, outcome: outcome.kind })
  }

  /** Order: noted when it is done. An agent that ends in between does it again. */
  async #configure(): Promise<void> {
    const { store, keys, instance, notebook } = this.#world
    const parameters = clusterParameters(store.peek(keys.config)?.value)
    if (JSON.stringify(parameters) === JSON.stringify(notebook.parameters())) return
    await instance.configure(parameters)
    await notebook.writeParameters(parameters)
  }

  async #start(action: Extract<Action, { kind: 'start' }>): Promise<void> {
    const { guard, keeper, instance, observer } = this.#world
    await this.#configure()
    if (action.as === 'standby') {
      // The guard may still hold the deadline of a primary that is dead: it would kill this standby.
      await guard.disarmAndConfirm()
      await instance.setSynchronousNames(keeper.record?.acks ? NOBODY : '')
      await instance.start('standby', action.follow)
      return
    }
    // Order: the guard holds the deadline before the instance can take a write.
    if (!this.#isRightProven())
      throw new Fault('LEASE_LOST', 'Cannot start as primary: the lease is not proven')
    await this.#armGuard()
    await instance.setSynchronousNames(this.#isCreating() ? NOBODY : this.#ownNames())
    // Order: nobody is led there between its start and the first look at what it recovered.
    observer.noteStartedAsPrimary()
    await instance.start('primary')
    await this.#killUnlessProven('start')
  }

  /** Another member may still create the cluster instead: where commits wait for others, who comes past the routers is told nothing yet. */
  #isCreating(): boolean {
    const { keeper, policy } = this.#world
    return policy.acks !== undefined && keeper.record?.acks === undefined && keeper.record?.state !== 'open'
  }

  /** Who has to have the commits of this node's epoch. */
  #ownNames(): string {
    const { keeper, policy } = this.#world
    const { rule = NO_ACKS } = keeper.record?.acks?.at(-1) ?? {}
    return synchronousNamesOf(rule, policy.acks)
  }

  /**
   * Promises that nothing reaches this node's WAL from an older epoch any more. Order: that is made true first, then the promise is
   * durable, and only a later heartbeat tells it (safety.md 2).
   */
  async #pledge(epoch: number): Promise<void> {
    const { instance, notebook, observer, self } = this.#world
    const incarnation = present(observer.incarnation, 'incarnation of a member')
    const before = notebook.pledge()
    if (before && before.epoch > epoch) return
    const { timeline, flushLsn } = await instance.stopReceiving()
    await notebook.writePledge({ epoch, name: self, incarnation, timeline, flushLsn })
  }

  async #armGuard(): Promise<void> {
    const { guard, keeper, notebook, policy } = this.#world
    await guard.armAndConfirm(runsUntil(policy, keeper.record, keeper.provenUntil))
    if (notebook.isGuardReleased()) await notebook.writeGuardReleased(false)
  }

  /**
   * Order: the record says first that nothing ends this node's PostgreSQL, so that nobody counts on its end; then it is noted, so that
   * the next life of this agent does not take a missing deadline for an accident; then the guard lets go (docs/adr/0034).
   */
  async #releaseGuard(): Promise<void> {
    const { guard, keeper, notebook, observer, self } = this.#world
    const { record } = keeper
    if (!observer.isPaused || record?.holder !== self || record.isUnfenced !== true) return
    await notebook.writeGuardReleased(true)
    await guard.disarmAndConfirm()
  }

  /** This node holds the record, has not given it up, and a renewal of its own proves the lease now. */
  #isRightProven(): boolean {
    const { keeper, clock, self } = this.#world
    const { record } = keeper
    return record?.holder === self && isHeld(record) && keeper.provenUntil > clock.monotonic()
  }

  /** A start or a promotion can take longer than the lease: what came up too late must not stay up. */
  async #killUnlessProven(what: string): Promise<void> {
    if (this.#isRightProven()) return
    await this.#world.instance.kill()
    throw new Fault('LEASE_LOST', `Ended what ${what} brought up: the lease ran out meanwhile`)
  }

  async #markOpen(epoch: number): Promise<void> {
    const isCreating = this.#isCreating()
    try {
      await markOpen(this.#world, epoch)
      this.#slotsOf = ''
      if (isCreating) await this.#world.instance.setSynchronousNames(this.#ownNames())
    } catch (error) {
      // Started again as a standby and promoted again, PostgreSQL takes the next free timeline.
      if (codeOf(error) === 'TIMELINE_REUSED')
        await this.#changingDirectory(() => this.#world.instance.kill())
      throw error
    }
  }

  async #promote(epoch: number): Promise<void> {
    const { keeper, instance, notebook, observer } = this.#world
    if (keeper.record?.epoch !== epoch || !this.#isRightProven()) {
      throw new Fault('LEASE_LOST', `Cannot promote: epoch ${epoch} is not proven to be this node's`)
    }
    // Another branch of this epoch may come, which leaves elsewhere.
    this.#admitsIn = undefined
    const incarnation = present(observer.incarnation, 'incarnation of a standby')
    const begun = notebook.promotedIn()
    const isAgain = begun?.epoch === epoch && begun.incarnation === incarnation
    if (isAgain || keeper.record.givenTimeline === undefined) await giveAnotherTimeline(this.#world, epoch)
    const { record } = keeper
    // Order: the id is in the record, and so taken for ever, before it can exist on a disk.
    if (record?.epoch !== epoch || record.givenTimeline === undefined) {
      throw new Fault('LEASE_LOST', `Cannot promote: epoch ${epoch} has no timeline to begin`)
    }
    await Promise.all([
      // Order: it must not be open for a moment without those that its commits wait for (safety.md 5).
      instance.setSynchronousNames(this.#ownNames()),
      this.#armGuard(),
      // Order: written before the timeline can exist, so that a branch which never opened is known for what it is.
      notebook.writePromotion({ epoch, incarnation }),
    ])
    try {
      await instance.promote(record.givenTimeline)
    } catch (error) {
      if (codeOf(error) === 'TIMELINE_REUSED') await this.#changingDirectory(() => instance.kill())
      throw error
    }
    await this.#killUnlessProven('the promotion')
    const { rule } = record.acks?.at(-1) ?? {}
    if (!rule) return
    await Promise.all([instance.ensureSlots(rule.members.map(({ name }) => name)), this.#admitClients(epoch)])
  }

  /**
   * Clients need not wait until the epoch is open where an acknowledgement proves itself by those who have the commit, and they have
   * also all that can be read here (safety.md 13, docs/adr/0019).
   */
  async #admitClients(epoch: number): Promise<void> {
    const shared = this.#shared
    if (shared?.epoch !== epoch) return
    try {
      if (!(await confirmFork(this.#world, shared))) return
      this.#admitsIn = epoch
      this.#world.jobs.changed()
    } catch (error) {
      this.#world.log.warn('Clients wait until the epoch is open', { error: messageOf(error) })
    }
  }

  async #clone(action: Extract<Action, { kind: 'clone' }>): Promise<void> {
    const { instance, notebook, keeper } = this.#world
    if (action.diverged) await this.#reportLoss(action.diverged)
    const { systemId } = present(keeper.record, 'record of a cluster')
    await instance.setSynchronousNames(keeper.record?.acks ? NOBODY : '')
    await instance.clone({ ...action.from, systemId }, () => undefined)
    await notebook.writePromotion(undefined)
  }

  async #rewind({ from, diverged }: Extract<Action, { kind: 'rewind' }>): Promise<void> {
    const { instance, notebook, keeper } = this.#world
    // Order: pg_rewind throws the diverged WAL away without a word.
    await this.#reportLoss(diverged)
    await instance.setSynchronousNames(keeper.record?.acks ? NOBODY : '')
    await instance.rewind({ host: from.host, port: from.port }, () => undefined)
    await notebook.writePromotion(undefined)
  }

  /** Keeps what the history left behind, and tells everybody. */
  async #reportLoss(diverged: Divergence): Promise<void> {
    const { instance, store, keys, log, writeDeadlineMs, self } = this.#world
    const report = await instance.keepDiverged(diverged)
    log.warn('Lost transactions: the old WAL left the history', { ...report, xids: report.xids.length })
    const key = keys.loss(diverged.epoch, self)
    await store.transact(
      { compares: [], operations: [{ kind: 'put', key, value: JSON.stringify(report) }] },
      { deadlineMs: writeDeadlineMs },
    )
  }

  async #fence(reason: StanceReason): Promise<void> {
    const { instance, observer } = this.#world
    if (reason === 'WRITE_PATH_STALLED' || reason === 'DISK_FULL') observer.noteConvicted(reason)
    await instance.kill()
  }

  async #stop(): Promise<void> {
    await this.#world.instance.stop(STOP_MS)
    await this.#world.guard.disarmAndConfirm()
  }

  async #release(action: Extract<Action, { kind: 'release' }>): Promise<void> {
    const { instance, guard } = this.#world
    // "Down" in the snapshot is not enough: nothing of the instance may be left (safety.md 7).
    await instance.kill()
    const { endLsn } = await instance.endOfWal()
    await guard.disarmAndConfirm()
    await releaseEpoch(this.#world, { endLsn, reason: action.reason, to: action.to })
  }

  /** Clean hand-over: the candidate has every byte before it may be promoted, so nothing diverges and nothing is lost. */
  async #handOver(action: Extract<Action, { kind: 'hand-over' }>): Promise<void> {
    const { instance, guard, log } = this.#world
    await this.#drained(async () => {
      const how = await instance.stop(HAND_OVER_STOP_MS)
      if (how === 'unclean') log.warn('Hand-over: PostgreSQL had to be killed', { to: action.to })
      const { endLsn } = await instance.endOfWal()
      await guard.disarmAndConfirm()
      const reason = how === 'clean' ? action.reason : 'PRIMARY_CRASHED'
      await releaseEpoch(this.#world, { endLsn, reason, to: action.to })
    })
  }

  /** An order to start anew is carried out then, whoever gave it: a later pause must not find it. */
  async #startAnew(work: () => Promise<void>): Promise<void> {
    await work()
    const { store, keys, self, writeDeadlineMs, log } = this.#world
    const order = store.peek(keys.restart(self))
    if (order === undefined) return
    const { key, modRevision: revision } = order
    store
      .transact(
        { compares: [{ kind: 'mod', key, revision }], operations: [{ kind: 'delete', key }] },
        { deadlineMs: writeDeadlineMs },
      )
      .catch((error: unknown) =>
        log.warn('Cannot take back an order that was carried out', { error: messageOf(error) }),
      )
  }

  /** Nobody takes over meanwhile: the lease of a primary is kept, and its guard holds the deadline all the time. */
  async #restart(action: Extract<Action, { kind: 'restart' }>): Promise<void> {
    const { as, follow } = action
    const again = async (): Promise<void> => {
      const how = await this.#world.instance.stop(HAND_OVER_STOP_MS)
      if (how === 'unclean') this.#world.log.warn('Restart: PostgreSQL had to be killed')
      await this.#start({ kind: 'start', as, ...(follow ? { follow } : {}) })
    }
    await (as === 'primary' ? this.#drained(again) : again())
  }

  /** Routers end each session where its transaction ends, and let none begin, while `work` is done (docs/adr/0024). */
  async #drained(work: () => Promise<void>): Promise<void> {
    await this.#world.instance.checkpoint()
    this.#isHandingOver = true
    this.#world.jobs.announce()
    try {
      await drain(this.#world)
      await work()
    } finally {
      this.#isHandingOver = false
      this.#world.jobs.announce()
    }
  }

  async #syncSlots(members: readonly string[]): Promise<void> {
    const { clock, instance, log } = this.#world
    const wanted = members.toSorted().join(',')
    if (wanted === this.#slotsOf && clock.monotonic() - this.#slotsAt < SLOTS_PERIOD_MS) return
    try {
      await instance.ensureSlots(members)
      this.#slotsOf = wanted
      this.#slotsAt = clock.monotonic()
    } catch (error) {
      log.warn('Cannot keep the replication slots in order', { error: messageOf(error) })
    }
  }
}
