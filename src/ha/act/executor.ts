import { codeOf, Fault, messageOf } from '../../std/fault.ts'
import { present, unreachable } from '../../std/assert.ts'
import type { Action } from '../decision.ts'
import { claimFirstEpoch, giveAnotherTimeline, markOpen, releaseEpoch, takeEpoch } from './change-record.ts'
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
  /** Routers hold new connections from here on: the primary is about to move. */
  #isHandingOver = false

  constructor(world: World) {
    this.#world = world
  }

  get isHandingOver(): boolean {
    return this.#isHandingOver
  }

  async run(action: Action): Promise<void> {
    const { jobs, store, keys } = this.#world
    switch (action.kind) {
      case 'bootstrap':
        await claimFirstEpoch(this.#world)
        return
      case 'take-over':
        return this.#takeOver(action)
      case 'mark-open':
        jobs.begin('mark-open', () => this.#markOpen(action.epoch))
        return
      case 'release':
        jobs.begin('release', () => this.#changingDirectory(() => this.#release(action)))
        return
      case 'arm-guard':
        if (this.#isRightProven()) await this.#world.guard.armAndConfirm(this.#world.keeper.provenUntil)
        return
      case 'clear-request':
        await store.transact(
          {
            compares: [{ kind: 'mod', key: keys.failover, revision: action.revision }],
            operations: [{ kind: 'delete', key: keys.failover }],
          },
          { deadlineMs: this.#world.writeDeadlineMs },
        )
        return
      case 'sync-slots':
        return this.#syncSlots(action.members)
      case 'initialise':
        jobs.begin('initialise', () => this.#changingDirectory(() => this.#initialise()))
        return
      case 'start':
        jobs.begin('start', () => this.#changingDirectory(() => this.#start(action)))
        return
      case 'promote':
        jobs.begin('promote', () => this.#promote(action.epoch))
        return
      case 'follow':
        await this.#world.instance.follow(action.upstream)
        return
      case 'clone':
        jobs.begin('clone', () => this.#changingDirectory(() => this.#clone(action)))
        return
      case 'fence':
        jobs.begin('fence', () => this.#changingDirectory(() => this.#world.instance.kill()))
        return
      case 'stop':
        jobs.begin('stop', () => this.#changingDirectory(() => this.#stop()))
        return
      case 'hand-over':
        jobs.begin('hand-over', () => this.#changingDirectory(() => this.#handOver(action)))
        return
      case 'remove-set-aside':
        await this.#world.instance.removeSetAside()
        this.#world.observer.forgetDirectory()
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
    await instance.initialise()
    const { incarnation } = await instance.inspect()
    // If another member creates the cluster meanwhile, this directory is known for what it is: never opened, nobody's data.
    if (epoch !== undefined && incarnation !== undefined)
      await notebook.writePromotion({ epoch, incarnation })
  }

  async #takeOver(action: Extract<Action, { kind: 'take-over' }>): Promise<void> {
    const outcome = await takeEpoch(this.#world, action)
    this.#world.log.info('Take-over', { epoch: action.epoch, reason: action.reason, outcome: outcome.kind })
  }

  async #start(action: Extract<Action, { kind: 'start' }>): Promise<void> {
    const { guard, keeper, instance } = this.#world
    if (action.as === 'standby') {
      // The guard may still hold the deadline of a primary that is dead: it would kill this standby.
      await guard.disarmAndConfirm()
      await instance.start('standby', action.follow)
      return
    }
    // Order: the guard holds the deadline before the instance can take a write.
    if (!this.#isRightProven())
      throw new Fault('LEASE_LOST', 'Cannot start as primary: the lease is not proven')
    await guard.armAndConfirm(keeper.provenUntil)
    await instance.start('primary')
    await this.#killUnlessProven('start')
  }

  /** This node holds the record, has not given it up, and a renewal of its own proves the lease now. */
  #isRightProven(): boolean {
    const { keeper, clock, self } = this.#world
    const { record } = keeper
    return record?.holder === self && record.state !== 'released' && keeper.provenUntil > clock.monotonic()
  }

  /** A start or a promotion can take longer than the lease: what came up too late must not stay up. */
  async #killUnlessProven(what: string): Promise<void> {
    if (this.#isRightProven()) return
    await this.#world.instance.kill()
    throw new Fault('LEASE_LOST', `Ended what ${what} brought up: the lease ran out meanwhile`)
  }

  async #markOpen(epoch: number): Promise<void> {
    try {
      await markOpen(this.#world, epoch)
      this.#slotsOf = ''
    } catch (error) {
      // Started again as a standby and promoted again, PostgreSQL takes the next free timeline.
      if (codeOf(error) === 'TIMELINE_REUSED')
        await this.#changingDirectory(() => this.#world.instance.kill())
      throw error
    }
  }

  async #promote(epoch: number): Promise<void> {
    const { guard, keeper, instance, notebook, observer } = this.#world
    if (keeper.record?.epoch !== epoch || !this.#isRightProven()) {
      throw new Fault('LEASE_LOST', `Cannot promote: epoch ${epoch} is not proven to be this node's`)
    }
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
      guard.armAndConfirm(keeper.provenUntil),
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
  }

  async #clone(action: Extract<Action, { kind: 'clone' }>): Promise<void> {
    const { instance, notebook, store, keys, keeper, log, writeDeadlineMs, self } = this.#world
    if (action.diverged) {
      const report = await instance.keepDiverged(action.diverged)
      log.warn('Lost transactions: the old WAL left the history', { ...report, xids: report.xids.length })
      const key = keys.loss(action.diverged.epoch, self)
      await store.transact(
        { compares: [], operations: [{ kind: 'put', key, value: JSON.stringify(report) }] },
        { deadlineMs: writeDeadlineMs },
      )
    }
    const { systemId } = present(keeper.record, 'record of a cluster')
    await instance.clone({ ...action.from, systemId }, () => undefined)
    await notebook.writePromotion(undefined)
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
    await instance.checkpoint()
    this.#isHandingOver = true
    this.#world.jobs.changed()
    try {
      const how = await instance.stop(HAND_OVER_STOP_MS)
      if (how === 'unclean') log.warn('Hand-over: PostgreSQL had to be killed', { to: action.to })
      const { endLsn } = await instance.endOfWal()
      await guard.disarmAndConfirm()
      const reason = how === 'clean' ? action.reason : 'PRIMARY_CRASHED'
      await releaseEpoch(this.#world, { endLsn, reason, to: action.to })
    } finally {
      this.#isHandingOver = false
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
