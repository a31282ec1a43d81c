import type { Decision } from '../../../src/ha/decision.ts'
import { parametersIn } from '../../../src/model/dynamic-config.ts'
import { keysOf } from '../../../src/ha/keys.ts'
import { policyOf, type ProfileName } from '../../../src/ha/policy.ts'
import type { EpochRecord } from '../../../src/model/epoch-record.ts'
import type { LossReport } from '../../../src/model/cluster-view.ts'
import { checkTagsAreKept } from './checkers/tags-are-kept.ts'
import { Violation } from '../checkers/violation.ts'
import { RandomStream } from '../random-stream.ts'
import type { Acknowledgement } from '../postgres/ports.ts'
import { VirtualTime } from '../virtual-time.ts'
import { AcksOrderedByEpoch } from './checkers/acks-ordered-by-epoch.ts'
import type { BackendAcknowledgement, FinalFacts, PassedAcknowledgement } from './checkers/cluster-facts.ts'
import { whyNotEqual, whyNotHealed } from './checkers/converges-when-healed.ts'
import { ConvictionsAreJust } from './checkers/convictions-are-just.ts'
import { PauseIsKept } from './checkers/pause-is-kept.ts'
import { checkLeaseIsExclusive } from './checkers/lease-is-exclusive.ts'
import { LossIsBounded } from './checkers/loss-is-bounded.ts'
import { checkLossIsReported } from './checkers/loss-is-reported.ts'
import { NoNeedlessFailover } from './checkers/no-needless-failover.ts'
import { checkHalfRewound } from './checkers/half-rewound-is-nobody.ts'
import {
  NothingIrreplaceableIsDestroyed,
  type DataVolume,
} from './checkers/nothing-irreplaceable-is-destroyed.ts'
import { checkNothingIsLost } from './checkers/no-acknowledged-loss.ts'
import { RecordGoesForward } from './checkers/record-goes-forward.ts'
import { SettingsWithinPublishedRules } from './checkers/settings-within-published-rules.ts'
import { drawShape, type AckShape, type ClusterSimulationShape } from './cluster-shape.ts'
import { EventTrace } from './event-trace.ts'
import { disturbanceOf } from './disturbance.ts'
import {
  drawFaults,
  type FaultProfile,
  type ScheduledFault,
  type SimFault,
  type Weather,
} from './fault-schedule.ts'
import { runMicrotasks } from './microtasks.ts'
import { strikeGray, type GrayFault } from './gray-faults.ts'
import { RareFaultInjection } from './rare-fault-injection.ts'
import { ModelPostgres } from './model-postgres.ts'
import { addressOf, simNodeConfig } from './node-config.ts'
import { SimClient, type ClientConnection } from './sim-client.ts'
import { SimHost, type SimProcess } from './sim-host.ts'
import { SimNetwork } from './sim-network.ts'
import { SimNode } from './sim-node.ts'
import { SimOperator } from './sim-operator.ts'
import { PeerSwitch } from './sim-peer-link.ts'
import type { ClientEvents, RoutedSession } from './sim-router.ts'
import { Standstills } from './standstills.ts'

export type ClusterSimulationOptions = {
  readonly seed: number
  readonly minutes: number
  readonly profile?: FaultProfile
  readonly timing?: ProfileName
  /** How many of them there are, instead of what the seed would draw. */
  readonly members?: number
  /** How commits wait for standbys; `any`: as the seed draws it. */
  readonly mode?: AckShape | 'any'
  /** How faults come; see fault-schedule.ts. */
  readonly weather?: Weather
  /** Whether one of three members may be a witness, or is. */
  readonly witness?: 'any' | 'always'
  readonly faultsFromMs?: number
  readonly paceMs?: number
  readonly maximumLagBytes?: number
  /** Mean one-way delay of the network, instead of the one that the seed would draw. */
  readonly delayMs?: number
  /** Instead of the faults that the seed would draw. */
  readonly schedule?: readonly ScheduledFault[]
  /** Lines of the trace that are kept; 0 keeps none and is faster. */
  readonly traceLines?: number
}

export type ClusterSimulationResult = {
  readonly hash: string
  readonly events: number
  readonly committed: number
  readonly acknowledged: number
  readonly unknown: number
  readonly missing: number
  /** Of the minutes that were asked for: what was left when quiet stretches had been jumped over. */
  readonly simulatedMs: number
  readonly epochs: number
  readonly healedInMs: number
  readonly schedule: readonly ScheduledFault[]
  readonly trace: readonly string[]
}

/** Stopped by a checker. */
export class ClusterSimulationFailure extends Error {
  override readonly name = 'ClusterSimulationFailure'
  readonly seed: number
  readonly violation: string
  readonly trace: readonly string[]
  readonly schedule: readonly ScheduledFault[]

  constructor(
    options: ClusterSimulationOptions,
    cause: unknown,
    seen: { trace: readonly string[]; schedule: readonly ScheduledFault[] },
  ) {
    const violation = cause instanceof Error ? cause.message : String(cause)
    super(`seed ${options.seed}: ${violation}`, { cause })
    this.seed = options.seed
    this.violation = violation
    this.trace = seen.trace
    this.schedule = seen.schedule
  }
}

/** Longest that a healed cluster may take: a lease, a cold start, a clone, retries of what failed. */
const HEAL_LIMIT_MS = 90_000
const LOOK_WHILE_HEALING_MS = 250
/** After the end of all faults, or of a change of members, so long nothing is held against the cluster. */
const CALMED_MS = 30_000
/** … and an operator, whose commands wait for a cluster that answers. */
const OPERATOR_LIMIT_MS = 180_000
/** A cluster that was whole for so long without a fault shows nothing new any more. */
const QUIET_MS = 1500
/** The same under a fault, which has its own timers: a guard that hangs is replaced, a connection that says nothing is given up. */
const WHOLE_UNDER_FAULT_MS = 4500
/** One that is not whole may wait for something that long: cold start, a standby that does not stream, patience of clients. */
const REST_UNDER_FAULT_MS = 12_000
/** A connection whose packets were lost again and again tries next after seconds: a kernel's wait doubles each time. */
const SETTLE_MS = 30_000
const SWITCHOVER_LIMIT_MS = 15_000
/** Of sums of times. */
const ROUNDING_MS = 0.001

/**
 * A whole cluster in one thread on one virtual clock: real control planes, guards' rule and routers' tables on virtual hosts
 * and a model of PostgreSQL. First faults, during which nothing may be broken; then all faults end and the cluster must be
 * whole again; then the data is judged.
 */
export class ClusterSimulation {
  readonly #options: ClusterSimulationOptions
  readonly #shape: ClusterSimulationShape
  readonly #time = new VirtualTime()
  readonly #network: SimNetwork
  readonly #peers: PeerSwitch
  readonly #world: ModelPostgres
  readonly #nodes = new Map<string, SimNode>()
  readonly #operator: SimOperator
  readonly #rare: RareFaultInjection
  /** Since when nobody waits any more for what a host had: its disk was taken, or it was removed. */
  readonly #taken = new Map<string, number>()
  readonly #trace: EventTrace
  readonly #schedule: readonly ScheduledFault[]
  readonly #work: RandomStream
  readonly #ordered = new AcksOrderedByEpoch()
  readonly #records = new RecordGoesForward()
  readonly #bounded: LossIsBounded
  readonly #needless: NoNeedlessFailover
  readonly #convictions = new ConvictionsAreJust()
  readonly #pauseIsKept = new PauseIsKept()
  readonly #settings = new SettingsWithinPublishedRules()
  readonly #volumes = new NothingIrreplaceableIsDestroyed()
  readonly #acks: BackendAcknowledgement[] = []
  readonly #acknowledged: PassedAcknowledgement[] = []
  readonly #standstills = new Standstills()
  readonly #decided = new Map<string, Decision>()
  readonly #clients: SimClient[] = []
  readonly #pauses = new Set<() => void>()
  readonly #grays = new Set<() => void>()
  #tokens = 0
  #unknown = 0
  #nonces = 0
  #events = 0
  /** Quiet stretches that were jumped over: the schedule counts them, the clock does not. */
  #jumpedMs = 0
  #faultsInForce = 0
  /** Of faults in force, in order; in the time of the schedule. */
  readonly #endings: { readonly at: number; readonly end: () => void }[] = []
  #brokenCommand: string | undefined
  /** Since when nothing is held against the cluster: no fault is in force, and the operator has nothing to do. */
  #calmSince = 0

  constructor(options: ClusterSimulationOptions) {
    this.#options = options
    const { seed, minutes } = options
    const { timing, members: size, mode: wanted = 'async', witness } = options
    const shape = drawShape(seed, options.profile ?? 'any', { timing, members: size, mode: wanted, witness })
    const { delayMs = shape.network.delayMs, maximumLagBytes = shape.maximumLagBytes } = options
    this.#shape = { ...shape, maximumLagBytes, network: { ...shape.network, delayMs } }
    const { leaseTtlMs } = policyOf(shape.timing)
    this.#bounded = new LossIsBounded({ maximumLagBytes, leaseTtlMs })
    this.#needless = new NoNeedlessFailover(leaseTtlMs)
    this.#trace = new EventTrace(options.traceLines ?? 0)
    this.#work = new RandomStream(seed, 'work')
    this.#network = new SimNetwork(this.#time, new RandomStream(seed, 'network'), this.#shape.network)
    this.#peers = new PeerSwitch(this.#network)
    const { members, clocks } = this.#shape
    const hosts = members.map((name, index) => this.#createHost(name, clocks[index]))
    this.#schedule =
      options.schedule ??
      drawFaults({
        seed,
        hosts: members,
        untilMs: minutes * 60_000,
        profile: options.profile ?? 'any',
        fromMs: options.faultsFromMs,
        paceMs: options.paceMs,
        weather: options.weather,
      })
    this.#world = new ModelPostgres({
      seed,
      time: this.#time,
      network: this.#network,
      hosts,
      segmentBytes: this.#shape.segmentBytes,
      rewinds: this.#shape.rewinds,
      acknowledged: (ack) => this.#sawBackend(ack),
    })
    for (const host of hosts) this.#nodes.set(host.name, this.#createNode(host, members))
    this.#operator = this.#createOperator()
    this.#rare = new RareFaultInjection({
      seed,
      node: (name) => this.#node(name),
      isWhole: () => this.#whyNotHealed() === undefined,
      later: (ms, end) => this.#later(ms, end),
      operator: this.#operator,
      note: (text) => {
        this.#calmSince = this.#time.now
        this.#note('fault', text)
      },
      tookData: (host) => this.#tookData(host),
    })
  }

  /** Runs to the end, from a plain task (see microtasks.ts). Throws a `ClusterSimulationFailure`. */
  run(): ClusterSimulationResult {
    try {
      return this.#run()
    } catch (thrown) {
      this.#note('checker', thrown instanceof Error ? thrown.message : String(thrown))
      throw new ClusterSimulationFailure(this.#options, thrown, {
        trace: this.#trace.lines,
        schedule: this.#schedule,
      })
    }
  }

  #run(): ClusterSimulationResult {
    for (const node of this.#nodes.values()) node.start()
    this.#startClients()
    for (const { at, fault } of this.#schedule) {
      this.#passEndings(at)
      this.#passQuietly(at)
      this.#apply(fault)
    }
    const end = this.#options.minutes * 60_000
    this.#passEndings(end)
    // Nothing follows that a moment before it could matter to.
    this.#passQuietly(end, 0)
    const simulatedMs = this.#time.now
    const healedInMs = this.#heal()
    for (const client of this.#clients) client.stop()
    const { final, missing } = this.#settle()
    this.#checkCalm(final)
    return {
      hash: this.#trace.hash,
      events: this.#events,
      committed: this.#acks.length,
      acknowledged: this.#acknowledged.length,
      unknown: this.#unknown,
      missing,
      simulatedMs,
      epochs: Math.max(...final.members.map(({ record }) => record?.epoch ?? 0)),
      healedInMs,
      schedule: this.#schedule,
      trace: this.#trace.lines,
    }
  }

  /** Passes to the ends of all faults that end before a moment of the schedule. */
  #passEndings(at: number): void {
    for (;;) {
      const [next] = this.#endings
      if (next === undefined || next.at > at) return
      this.#passQuietly(next.at)
      this.#endWhatIsDue()
    }
  }

  /** Also of a fault that struck later than it was drawn for, while a stretch was passed. */
  #endWhatIsDue(): void {
    const now = this.#time.now + this.#jumpedMs
    for (;;) {
      const [next] = this.#endings
      if (next === undefined || next.at > now + ROUNDING_MS) return
      this.#endings.shift()
      next.end()
      this.#calmSince = this.#time.now
    }
  }

  /**
   * Passes to a moment of the schedule. A cluster that is whole and serves does the same over and over, and so does one that has come
   * to rest under a fault: once it has been so for a while, the rest of the stretch is jumped over.
   */
  #passQuietly(at: number, leadMs = QUIET_MS): void {
    let acknowledged = this.#acknowledged.length
    let shape = ''
    let restingMs = 0
    for (;;) {
      const left = at - this.#jumpedMs - this.#time.now
      if (left <= QUIET_MS) return this.#passUntil(Math.max(this.#time.now, at - this.#jumpedMs))
      this.#passUntil(this.#time.now + QUIET_MS)
      this.#endWhatIsDue()
      this.#checkHealing()
      const now = this.#restingShape(this.#acknowledged.length > acknowledged)
      acknowledged = this.#acknowledged.length
      restingMs = now === shape ? restingMs + QUIET_MS : QUIET_MS
      shape = now
      if (this.#operator.isBusy || restingMs < this.#restLimitMs()) continue
      this.#jumpedMs += Math.max(0, at - this.#jumpedMs - this.#time.now - leadMs)
    }
  }

  /** G4, also between two storms: a cluster that is left alone heals. */
  #checkHealing(): void {
    // A release that knows no changes of members holds one up until it is upgraded, which the schedule brings later.
    const awaitsUpgrade =
      this.#operator.hasChanged && this.#members.some(({ release }) => release === 'before')
    if (this.#faultsInForce > 0 || this.#operator.isBusy || awaitsUpgrade) this.#calmSince = this.#time.now
    const calmMs = this.#time.now - this.#calmSince
    const why = calmMs > HEAL_LIMIT_MS ? this.#whyNotHealed() : undefined
    if (why === undefined) return
    throw new Violation(`${why}, ${Math.round(calmMs)} ms after a storm`, 'converges-when-healed')
  }

  /** How long a cluster must have been as it is before nothing new is expected of it. */
  #restLimitMs(): number {
    const isWhole = this.#whyNotHealed() === undefined
    if (this.#faultsInForce === 0) return isWhole ? QUIET_MS : Number.POSITIVE_INFINITY
    return isWhole ? WHOLE_UNDER_FAULT_MS : REST_UNDER_FAULT_MS
  }

  /** What a cluster is, but for what goes on all the time. */
  #restingShape(isServing: boolean): string {
    const members = [...this.#nodes.values()].map((node) => {
      const { record, instance, isAgentAlive } = node.glimpse()
      const { state, role, timeline, streaming } = instance
      return [isAgentAlive, record?.epoch, record?.state, state, role, timeline, streaming]
    })
    return JSON.stringify([isServing, members])
  }

  #passUntil(end: number): void {
    while (this.#time.step(end)) {
      runMicrotasks()
      this.#events += 1
      this.#trace.tick(this.#time.now)
      this.#check()
    }
  }

  // After every event.

  #check(): void {
    let holders = 0
    for (const node of this.#nodes.values()) {
      const { volume } = node.postgres
      checkHalfRewound(node.name, volume)
      this.#volumes.see(node.name, volume, this.#allVolumes)
      const control = node.agent?.control
      const brain = control?.brain
      if (control === undefined || brain === undefined) continue
      const broken = this.#rare.whyTakesPart(node)
      if (broken !== undefined) throw new Violation(broken, 'broken-log-is-refused')
      const { record, provenUntil } = brain.keeper
      this.#sawDecision(node.name, brain.loop.decision)
      if (record !== undefined) {
        this.#pauseIsKept.see(record, brain.keeper.revision, brain.store.peek(control.keys.config))
        if (this.#records.see(node.name, record)) {
          checkTagsAreKept(record, this.#shape.tags)
          this.#sawRecord(record)
        }
        if (record.acks) this.#settings.see({ name: node.name, record }, node.postgres, control?.policy.acks)
      }
      if (provenUntil > node.host.monotonic()) holders += 1
    }
    if (holders > 1) checkLeaseIsExclusive([...this.#nodes.values()].map((node) => node.glimpse()))
  }

  /** What is true is noted when somebody judges by it: at every decision to end a PostgreSQL, and once a look of the others. */
  #sawDecision(name: string, decision: Decision | undefined): void {
    if (this.#decided.get(name) === decision) return
    if (decision) this.#decided.set(name, decision)
    for (const node of this.#nodes.values()) {
      this.#convictions.note(node.name, node.postgres.writing, this.#time.now)
    }
    const fence = decision?.actions.find((action) => action.kind === 'fence')
    if (fence?.reason === 'WRITE_PATH_STALLED' || fence?.reason === 'DISK_FULL')
      this.#convictions.see(name, this.#time.now)
  }

  #sawRecord(record: EpochRecord): void {
    const holder = this.#node(record.holder)
    this.#bounded.see(record, this.#time.now, (holder?.glimpse().provenForMs ?? 0) > 0)
    if (this.#operator.isBusy) this.#disturbEverybody()
    this.#needless.see(record, this.#time.now, [...this.#operator.members])
  }

  readonly #allVolumes = (): readonly DataVolume[] =>
    [...this.#nodes.values()].map(({ postgres }) => postgres.volume)

  #disturbEverybody(): void {
    for (const name of this.#nodes.keys()) this.#needless.disturb(name, this.#time.now + CALMED_MS)
  }

  #tookData(host: string): void {
    this.#taken.set(host, this.#time.now)
    this.#volumes.forget(host)
  }

  #sawBackend(ack: Acknowledgement): void {
    const node = this.#nodes.get(ack.host)
    const epoch = this.#epochOf(ack)
    const seen: BackendAcknowledgement = {
      at: this.#time.now,
      host: ack.host,
      epoch,
      timeline: ack.timeline,
      lsn: ack.lsn,
      xid: ack.xid,
      token: ack.token,
      isKept: this.#isKept(ack.token),
      isAwaited: this.#shape.mode !== 'async' && !ack.warned,
      isUnguarded:
        this.#shape.mode === 'async' &&
        this.#standstills.isUnguarded(ack.host, this.#time.now, {
          isGuarded: node?.isGuarded === true,
          isWatched: node?.isWatched === true,
        }),
    }
    this.#acks.push(seen)
    this.#ordered.seeBackend(seen)
    this.#bounded.seeBackend(seen)
  }

  #isKept(token: number): boolean {
    const newest = this.#ordered.newest?.host
    if (this.#shape.mode === 'async' || newest === undefined) return false
    return this.#world.of(newest).holds(token)
  }

  /** The epoch that an instance writes in: that of its promotion as its agent wrote it down, else the first. */
  #epochOf({ host, incarnation }: Acknowledgement): number {
    const promotion = this.#nodes.get(host)?.state.promotion
    return promotion !== undefined && promotion.incarnation === incarnation ? promotion.epoch : 1
  }

  // The world.

  #createHost(name: string, clock = { rate: 1, offset: 0 }): SimHost {
    return new SimHost(this.#time, { name, address: addressOf(name) }, clock)
  }

  #createOperator(): SimOperator {
    const { seed } = this.#options
    return new SimOperator(
      {
        machine: new SimHost(this.#time, { name: 'operator', address: '10.0.2.1' }, { rate: 1, offset: 0 }),
        chance: new RandomStream(seed, 'operator'),
        nodes: () => [...this.#nodes.values()],
        newNode: (name, members) => {
          const host = this.#createHost(name)
          this.#world.add(host)
          const node = this.#createNode(host, [...members, name])
          this.#nodes.set(name, node)
          return node
        },
        note: (text) => {
          this.#disturbEverybody()
          this.#note('operator', text)
        },
        failed: (why) => {
          this.#brokenCommand = why
        },
        newIncarnation: () => {
          this.#nonces += 1
          return this.#nonces.toString(16).padStart(32, '0')
        },
        tookData: (host) => this.#tookData(host),
        membersMin: this.#shape.mode === 'quorum strict' ? 2 : 1,
      },
      this.#shape.members,
    )
  }

  #createNode(host: SimHost, members: readonly string[]): SimNode {
    const { name } = host
    const {
      timing: profile,
      mode,
      maximumLagBytes,
      primaryStartTimeoutMs,
      storeGraceMs,
      watchdog,
    } = this.#shape
    const chance = new RandomStream(this.#options.seed, `watchdog ${name}`)
    return new SimNode({
      release: this.#schedule.some(({ fault }) => fault.kind === 'upgrade' && fault.from === 'before')
        ? 'before'
        : 'this',
      host,
      config: simNodeConfig(name, {
        members,
        profile,
        mode,
        maximumLagBytes,
        primaryStartTimeoutMs,
        storeGraceMs,
        watchdogMode: watchdog.mode,
        tags: this.#shape.tags[name] ?? {},
        witness: this.#shape.witness,
      }),
      watchdog: {
        isThere: watchdog.hosts === 'everywhere' || chance.chance(0.5),
        pick: chance.below(1000),
      },
      onReset: () => {
        this.#calmSince = this.#time.now
        this.#needless.seeReset(name, this.#time.now, [...this.#operator.members])
        this.#needless.disturb(name, this.#time.now + CALMED_MS)
      },
      peers: this.#peers,
      postgres: this.#world.of(name),
      chance: new RandomStream(this.#options.seed, `node ${name}`),
      router: {
        dial: (from, target, events) => this.#world.of(target).dial(from, events),
        ask: (from, member, answer) => this.#askAgent(from, member, answer),
        members: () => [...this.#operator.members].filter((member) => member !== name),
        passed: (session, token) => this.#sawPassed(name, session, token),
      },
      note: (text) => this.#note(name, text),
      knock: (from, at) => this.#world.knock(from, at),
      newNonce: () => {
        this.#nonces += 1
        return `nonce${this.#nonces}`
      },
      agentStarts: () => this.#records.forget(name),
    })
  }

  #sawPassed(router: string, session: RoutedSession, token: number): void {
    const ack: PassedAcknowledgement = {
      at: this.#time.now,
      router,
      epoch: session.epoch,
      token,
      isKept: this.#isKept(token),
    }
    this.#acknowledged.push(ack)
    const wasStill = this.#standstills.wasRouterStill(router, this.#time.now)
    if (!wasStill && this.#node(router)?.isClockInDoubt !== true) this.#ordered.seePassed(ack)
  }

  #askAgent(
    from: SimProcess,
    member: string,
    answer: Parameters<ConstructorParameters<typeof SimNode>[0]['router']['ask']>[2],
  ): void {
    const network = this.#network
    const asker = from.host.name
    network.after(network.delay(asker, member), () => {
      const agent = this.#nodes.get(member)?.agent
      if (agent === undefined || !network.isOpen(asker, member)) return
      agent.process.run(() => {
        const table = agent.control.picture.routing()
        network.after(network.delay(member, asker), () => {
          if (network.isOpen(member, asker)) from.run(() => answer(table))
        })
      })
    })
  }

  #startClients(): void {
    this.#shape.clients.forEach(({ thinkMs, direct }, index) => {
      const machine = new SimHost(
        this.#time,
        { name: `app${index + 1}`, address: `10.0.1.${index + 1}` },
        { rate: 1, offset: 0 },
      )
      const process = machine.spawn('client')
      const client = new SimClient({
        process,
        chance: this.#work,
        thinkMs,
        connect: (events) => (direct ? this.#connectDirectly(process, events) : this.#connectClient(events)),
        nextToken: () => {
          this.#tokens += 1
          return this.#tokens
        },
        told: (token, outcome) => {
          // Who goes past the routers knocks at standbys too, and at servers that are not up yet.
          if (outcome === 'unknown' && !direct) this.#unknown += 1
          if (outcome === 'committed') this.#trace.tick(this.#time.now, token)
          else this.#note(machine.name, `${token} ${outcome}`)
        },
      })
      this.#clients.push(client)
      client.start()
    })
  }

  /** Applications live beside the nodes and reach every router. */
  #connectClient(events: ClientEvents): ClientConnection | undefined {
    const node = this.#nodes.get(this.#work.pick([...this.#operator.members]))
    const router = node?.router
    if (router === undefined || router.process.isPaused) return undefined
    return router.accept(events)
  }

  /** Past the routers: a member that does not take writes is found out by the first answer. */
  #connectDirectly(process: SimProcess, events: ClientEvents): ClientConnection {
    const target = this.#work.pick(this.#databases.map(({ name }) => name))
    const session = this.#world.of(target).dial(process, {
      committed: events.committed,
      failed: (token, reason) => {
        events.failed(token, reason)
        session.close()
        events.closed()
      },
      closed: events.closed,
    })
    events.opened()
    return session
  }

  // Faults.

  #apply(fault: SimFault): void {
    this.#calmSince = this.#time.now
    this.#note('fault', describeFault(fault))
    const { hosts, ms } = disturbanceOf(fault, [...this.#nodes.keys()])
    for (const host of hosts) this.#needless.disturb(host, this.#time.now + ms)
    switch (fault.kind) {
      case 'kill':
        return this.#node(fault.host)?.kill(fault.process)
      case 'kill-node':
        return this.#node(fault.host)?.killAll()
      case 'power':
        this.#node(fault.host)?.losePower()
        return this.#later(fault.ms, () => this.#node(fault.host)?.powerOn())
      case 'pause':
        return this.#pause(fault)
      case 'hang':
        return this.#pause({ ...fault, process: 'hang' })
      case 'suspend':
        this.#node(fault.host)?.suspend()
        return this.#later(fault.ms, () => {
          this.#standstills.hostWakes(fault.host, this.#time.now)
          // What it says before it has compared its clocks is of before it slept, and it cannot know better.
          this.#convictions.note(fault.host, { isInTrouble: false, isHeir: true }, this.#time.now)
          this.#node(fault.host)?.wake()
        })
      case 'partition':
        for (const link of fault.links) this.#link(link, 'cut')
        return this.#later(fault.ms, () => {
          for (const link of fault.links) this.#link(link, 'mend')
        })
      case 'network':
        this.#network.setShape({ delayMs: fault.delayMs, loss: fault.loss })
        return this.#later(fault.ms, () => this.#network.setShape(this.#shape.network))
      case 'clock-step':
        return this.#node(fault.host)?.host.stepWallClock(fault.byMs)
      case 'lag':
        this.#node(fault.host)?.postgres.setReplayPaused(true)
        return this.#later(fault.ms, () => this.#node(fault.host)?.postgres.setReplayPaused(false))
      case 'switchover':
        return this.#switchover(fault.via, fault.to)
      case 'set-parameters':
        return this.#setParameters(fault.via, fault.value)
      case 'restart-postgres':
        return this.#restartPostgres(fault.via, fault.host)
      case 'restart-agent':
        return this.#node(fault.host)?.restartAgent()
      case 'gray':
        return this.#strikeGray(fault)
      case 'pause-cluster':
        this.#operator.pauseCluster()
        return this.#later(fault.ms, () => this.#operator.resumeCluster())
      case 'stop-node':
        this.#node(fault.host)?.stop()
        return this.#later(fault.ms, () => this.#node(fault.host)?.start())
      default:
        return this.#rare.apply(fault)
    }
  }

  /** A fault that is over when the calm begins is ended by the healing. */
  #later(ms: number, end: () => void): void {
    this.#faultsInForce += 1
    this.#endLater(ms, () => {
      this.#faultsInForce -= 1
      end()
    })
  }

  #endLater(ms: number, end: () => void): void {
    const at = this.#time.now + this.#jumpedMs + ms
    const place = this.#endings.findIndex((one) => one.at > at)
    this.#endings.splice(place < 0 ? this.#endings.length : place, 0, { at, end })
  }

  /** What is stopped is that very process: the next one under its name is not. */
  #pause(fault: { host: string; process: Parameters<SimNode['pause']>[0]; ms: number }): void {
    const { host, process, ms } = fault
    const node = this.#node(host)
    if (node === undefined || !node.host.isUp) return
    const resume = node.pause(process)
    const end = (): void => {
      if (!this.#pauses.delete(end)) return
      this.#faultsInForce -= 1
      if (process === 'router' || process === 'all') this.#standstills.routerGoesOn(host, this.#time.now)
      if (process === 'all' || process === 'hang' || process === 'guard')
        this.#standstills.guardGoesOn(host, this.#time.now)
      resume()
    }
    this.#pauses.add(end)
    this.#faultsInForce += 1
    this.#endLater(ms, end)
  }

  #strikeGray({ hosts, what, ms }: GrayFault): void {
    const ends = hosts.flatMap((name) => this.#node(name) ?? []).map((node) => strikeGray(node, what))
    const end = (): void => {
      if (!this.#grays.delete(end)) return
      this.#faultsInForce -= 1
      for (const one of ends) one()
    }
    this.#grays.add(end)
    this.#faultsInForce += 1
    this.#endLater(ms, end)
  }

  #link(link: string, how: 'cut' | 'mend'): void {
    const [from = '', to = ''] = link.split('>')
    this.#network[how](from, to)
  }

  #switchover(via: string, to: string | undefined): void {
    const agent = this.#node(via)?.agent
    if (agent === undefined || agent.process.isPaused) return
    void agent.control.orders
      .switchover({ requestedBy: 'simulator', ...(to === undefined ? {} : { to }) }, SWITCHOVER_LIMIT_MS)
      .then((outcome) => this.#note(via, `switchover: ${JSON.stringify(outcome)}`))
      .catch((error: unknown) => this.#note(via, `switchover: ${String(error)}`))
  }

  #setParameters(via: string, value: number): void {
    const agent = this.#node(via)?.agent
    if (agent === undefined || agent.process.isPaused) return
    const patch = { postgresql: { parameters: { work_mem: value } } }
    void agent.control.orders
      .changeConfig({ kind: 'patch', patch })
      .then((outcome) => this.#note(via, `settings: ${JSON.stringify(outcome)}`))
      .catch((error: unknown) => this.#note(via, `settings: ${String(error)}`))
  }

  #restartPostgres(via: string, name: string): void {
    const agent = this.#node(via)?.agent
    if (agent === undefined || agent.process.isPaused) return
    void agent.control.orders
      .restart({ name }, SWITCHOVER_LIMIT_MS)
      .then((outcome) => this.#note(via, `restart: ${JSON.stringify(outcome)}`))
      .catch((error: unknown) => this.#note(via, `restart: ${String(error)}`))
  }

  // The calm.

  /** Ends all faults and waits until the cluster is whole and takes writes. */
  #heal(): number {
    const begun = this.#time.now
    this.#note('calm', 'all faults end')
    this.#disturbEverybody()
    this.#network.setShape({ ...this.#shape.network, loss: 0 })
    this.#network.mendAll()
    for (const end of [...this.#pauses, ...this.#grays]) end()
    this.#operator.resumeCluster()
    this.#rare.end(this.#nodes.values())
    for (const node of this.#nodes.values()) {
      this.#standstills.guardGoesOn(node.name, this.#time.now)
      if (node.host.isAsleep) this.#standstills.hostWakes(node.name, this.#time.now)
      node.wake()
      node.postgres.setReplayPaused(false)
      node.powerOn()
      node.start()
    }
    const passed = this.#acknowledged.length
    let why: string | undefined = 'has not begun'
    let until = begun + HEAL_LIMIT_MS
    while (this.#time.now < until) {
      this.#passUntil(this.#time.now + LOOK_WHILE_HEALING_MS)
      // What the operator began is part of it.
      if (this.#operator.isBusy && this.#time.now < begun + OPERATOR_LIMIT_MS) {
        until = this.#time.now + HEAL_LIMIT_MS
      }
      why = this.#whyNotHealed()
      if (why === undefined && this.#acknowledged.length > passed) return this.#time.now - begun
    }
    throw new Violation(
      `${why ?? 'no client could write'}, ${Math.round(this.#time.now - begun)} ms after all faults ended`,
      'converges-when-healed',
    )
  }

  /** After the last insert, until everything is everywhere and what is lost was reported; throws where that does not come. */
  #settle(): { readonly final: FinalFacts; readonly missing: number } {
    const until = this.#time.now + SETTLE_MS
    for (;;) {
      this.#passUntil(Math.min(until, this.#time.now + LOOK_WHILE_HEALING_MS))
      try {
        const final = this.#finalFacts()
        const unequal = whyNotEqual(final)
        if (unequal !== undefined) throw new Violation(unequal, 'converges-when-healed')
        checkNothingIsLost(final)
        return { final, missing: checkLossIsReported(final).missing }
      } catch (violation) {
        if (this.#time.now >= until) throw violation
      }
    }
  }

  #whyNotHealed(): string | undefined {
    if (this.#brokenCommand !== undefined) return `a command failed: ${this.#brokenCommand}`
    if (this.#operator.isBusy) return `the operator waits: ${this.#operator.trouble}`
    const unhealed = whyNotHealed(this.#databases.map((node) => node.glimpse()))
    return this.#whyNotAsAsked() ?? unhealed ?? this.#whyNotAsSet()
  }

  /** Registry and consensus have the members that the operator asked for, and who was removed serves nobody. */
  #whyNotAsAsked(): string | undefined {
    if (!this.#operator.hasChanged) return undefined
    const holder = this.#members.find(
      ({ name, agent }) => agent?.control.brain?.keeper.record?.holder === name,
    )
    const { control } = holder?.agent ?? {}
    if (control?.brain === undefined) return 'the holder of the record does not answer'
    const wrong = this.#operator.whyNotAsAsked(control.members.names)
    if (wrong !== undefined) return wrong
    const { voters, learners } = control.brain.store.membership()
    if (learners.length > 0) return `${learners.map(({ name }) => name).join()} does not vote yet`
    const voting = voters
      .map(({ name }) => name)
      .toSorted()
      .join()
    if (voting !== control.members.names.join()) return `${voting} vote`
    const serving = [...this.#nodes.values()].find(
      ({ name, postgres }) => !this.#operator.members.has(name) && postgres.rows() !== undefined,
    )
    return serving && `${serving.name} was removed and serves`
  }

  /** Everybody's PostgreSQL has what is set for the whole cluster. */
  #whyNotAsSet(): string | undefined {
    const [first] = this.#databases
    const wanted = first?.agent?.control.orders.dynamicConfig ?? {}
    const text = JSON.stringify(parametersIn(wanted))
    const other = this.#databases.find(({ state }) => JSON.stringify(state.parameters) !== text)
    return other && `${other.name} is not set to ${text}`
  }

  get #members(): readonly SimNode[] {
    return [...this.#operator.members].flatMap((name) => this.#node(name) ?? [])
  }

  /** Of the members those that have one. */
  get #databases(): readonly SimNode[] {
    return this.#members.filter(({ isWitness }) => !isWitness)
  }

  #finalFacts(): FinalFacts {
    const nodes = this.#databases
    const keys = keysOf('/service/', 'sim')
    const store = nodes[0]?.agent?.control.brain?.store
    return {
      members: nodes.map((node) => node.glimpse()),
      rows: new Map(nodes.map((node) => [node.name, node.postgres.rows()])),
      losses: (store?.peekPrefix(keys.losses) ?? []).map(({ value }) => JSON.parse(value) as LossReport),
      acknowledged: this.#acknowledged,
      acks: this.#acks,
      isBeyondReport: ({ host, at }) => at <= (this.#taken.get(host) ?? Number.NEGATIVE_INFINITY),
    }
  }

  /** G5: where nothing happens, nothing changes. */
  #checkCalm(final: FinalFacts): void {
    if (this.#schedule.length > 0) return
    const moved = final.members.find(({ record }) => record?.epoch !== 1)
    if (moved !== undefined) {
      throw new Violation(
        `nothing happened, and ${moved.name} sees epoch ${moved.record?.epoch}`,
        'no-needless-failover',
      )
    }
    if (this.#unknown > 0)
      throw new Violation('nothing happened, and a client lost its session', 'no-needless-failover')
  }

  #node(name: string): SimNode | undefined {
    return this.#nodes.get(name)
  }

  #note(who: string, what: string): void {
    this.#trace.note(this.#time.now, who, what)
  }
}

function describeFault(fault: SimFault): string {
  return Object.entries(fault)
    .map(([name, value]) => (name === 'kind' ? String(value) : `${name}=${String(value)}`))
    .join(' ')
}
