import { SECOND } from '../std/units.ts'
import { Executor } from '../ha/act/executor.ts'
import type { Decision } from '../ha/decision.ts'
import { FlightRecorder } from '../ha/flight-recorder.ts'
import { Jobs } from '../ha/jobs.ts'
import type { Keys } from '../ha/keys.ts'
import { LeaseKeeper } from '../ha/lease-keeper.ts'
import { HaLoop } from '../ha/loop.ts'
import { Observer, type ObserverOptions } from '../ha/observe/observer.ts'
import type { Policy } from '../ha/policy.ts'
import type { Clock, Guard, Knocker, LocalInstance, Notebook, Peers } from '../ha/ports.ts'
import type { MemberTags } from '../model/member-tags.ts'
import type { MonotonicMs } from '../model/time.ts'
import { RecordKeeper } from '../ha/record-keeper.ts'
import type { Snapshot } from '../ha/snapshot.ts'
import { WritePath, type WritePathSubject } from '../ha/write-path.ts'
import type { Logger } from '../platform/log.ts'
import type { RaftStore } from '../store/raft/raft-store.ts'
import { pauseOn } from '../ha/pause-on.ts'

export type BrainDeps = {
  readonly clock: Clock
  readonly log: Logger
  readonly store: RaftStore
  readonly instance: LocalInstance
  readonly guard: Guard
  readonly peers: Peers
  readonly notebook: Notebook
  readonly knocker: Knocker
}

export type BrainOptions = {
  readonly self: string
  readonly members: () => readonly string[]
  /** Those of them that somebody is taking out of the cluster. */
  readonly leaving: () => readonly string[]
  /** The member that may create the cluster. */
  readonly initialiser: string
  readonly policy: Policy
  readonly keys: Keys
  readonly managed: boolean
  readonly isWitness?: boolean
  /** Those of now: a hold adds some. */
  readonly tags: () => MemberTags | undefined
  readonly onDecision: (decision: Decision, seen: Snapshot) => void
  readonly onRecord: () => void
  /** A job did something that routers and other members should hear of now. */
  readonly onStep: () => void
}

/** The HA core of one node on its store: built when consensus runs, and then for as long as the agent lives. */
export class Brain {
  readonly store: RaftStore
  readonly keeper: RecordKeeper
  readonly observer: Observer
  readonly executor: Executor
  readonly jobs: Jobs
  readonly loop: HaLoop
  readonly writePath: WritePath
  readonly #lease: LeaseKeeper
  readonly #clock: Clock
  readonly #log: Logger
  readonly #cancels: (() => void)[] = []

  constructor(deps: BrainDeps, options: BrainOptions) {
    const { clock, log, store, instance, guard, peers, notebook, knocker } = deps
    const { self, policy, keys, managed } = options
    this.#clock = clock
    this.store = store
    this.#log = log
    this.keeper = new RecordKeeper({ clock, log, store }, { keys, policy, self })
    this.jobs = new Jobs({ clock, log, onChange: () => this.loop.wake(), onStep: options.onStep })
    const { keeper, jobs } = this
    const writeDeadlineMs = policy.leaseTtlMs / 2
    const shared = { clock, store, instance, guard, notebook, keeper, jobs }
    const subject = () => (managed ? this.#triedInstance() : undefined)
    this.writePath = new WritePath(
      { clock, instance },
      { policy: policy.writePath, subject, onChange: () => this.loop.wake() },
    )
    this.observer = new Observer(
      { ...shared, peers, knocker, writePath: this.writePath },
      observedBy(options),
    )
    const { observer } = this
    this.executor = new Executor({ ...shared, log, observer, keys, policy, self, writeDeadlineMs })
    const recorder = new FlightRecorder({ clock, store, log }, { keys, writeDeadlineMs })
    this.loop = new HaLoop({ clock, log, observer, executor: this.executor }, (decision, seen) => {
      if (decision.stance.keepLease) this.#lease.nudge()
      recorder.see(seen, decision)
      options.onDecision(decision, seen)
    })
    this.#lease = new LeaseKeeper(
      { clock, keeper },
      {
        policy,
        self,
        wanted: () => ({
          keepLease: this.loop.decision?.stance.keepLease ?? false,
          decidedAt: this.loop.decidedAt,
        }),
        // Order: said before the guard lets go, and until it holds a deadline again.
        isUnfenced: () =>
          managed && (guard.isUnfenced() || this.observer.isPaused || notebook.isGuardReleased()),
        position: () => {
          const { role, state, flushLsn } = this.observer.instance
          // Of one that is down: the end of its WAL, which the holder is going to open again (G3).
          return role === 'primary' || state === 'stopped' || state === 'crashed' ? flushLsn : undefined
        },
      },
    )
    let known = ''
    const wake = (): void => this.loop.wake()
    this.#cancels.push(
      keeper.onChange(() => {
        options.onRecord()
        // Another's renewal like the last one changes no decision: the loop looks twice a second, and where a lease would
        // run out. The holder looks at every one of its own, so that the position that it publishes is new (G3).
        const news = newsOf(keeper, clock.monotonic())
        if (news !== known || keeper.record?.holder === self) this.loop.wake()
        known = news
      }),
      store.onStatusChange(wake),
      ...[keys.failover, keys.config, keys.restart(self), keys.hold(self)].map((key) =>
        store.watch(key, 0, wake),
      ),
      peers.onChange(wake),
      instance.onCrash(wake),
    )
  }

  /**
   * The loop runs at once, since a primary without a guard must end also where no majority answers. Order: it begins nothing
   * before the record was read with a quorum once; an absent record is then really absent.
   */
  async start(signal: AbortSignal): Promise<void> {
    this.keeper.start()
    this.loop.start()
    this.#lease.start()
    this.writePath.start()
    while (!signal.aborted && !(await this.keeper.refresh(SECOND))) await pauseOn(this.#clock, 20, signal)
    if (signal.aborted) return
    const { voters, leader } = this.store.status()
    this.#log.info('Consensus answers', { voters, leader })
    this.loop.wake()
  }

  async stop(): Promise<void> {
    for (const cancel of this.#cancels) cancel()
    this.loop.stop()
    this.#lease.stop()
    this.writePath.stop()
    this.keeper.stop()
    await this.store.stop()
  }

  /** Whose writing says something: one that this agent has seen up, and that nobody starts, promotes, stops or rewrites now. */
  #triedInstance(): WritePathSubject | undefined {
    const { state, role, postmasterPid } = this.observer.instance
    // Which role it has is what it said when it last answered.
    if (role === undefined || (state !== 'running' && state !== 'unknown')) return undefined
    const { running } = this.jobs
    const isInPeace = running === undefined || ['change-acks', 'mark-open', 'configure'].includes(running)
    // Asked to hand over or to restart, and what comes before it is shut down does not come back.
    const isAsked = (running === 'hand-over' || running === 'restart') && !this.executor.isHandingOver
    return isInPeace || isAsked ? { role, postmasterPid } : undefined
  }

  /** No job works on the instance, and it does not run. */
  isInstanceDown(): boolean {
    const { state } = this.observer.instance
    return (
      this.jobs.running === undefined && (state === 'stopped' || state === 'crashed' || state === 'absent')
    )
  }
}

function observedBy(options: BrainOptions): ObserverOptions {
  const { self, members, leaving, initialiser, policy, keys, managed, isWitness = false } = options
  return {
    ...{ self, members, leaving, initialiser, policy, keys, managed, isWitness },
    get tags() {
      return options.tags()
    },
  }
}

/** What a decision may hang on in the record and in what is known of it, as one comparable text. */
function newsOf(keeper: RecordKeeper, now: MonotonicMs): string {
  const { record, provenUntil, witnessed, isRead, hasProved } = keeper
  // The chain changes only together with an epoch, its state or its timeline.
  const { seq: _seq, position: _position, chain: _chain, ...rest } = record ?? {}
  return JSON.stringify([rest, provenUntil > now, witnessed, isRead, hasProved])
}
