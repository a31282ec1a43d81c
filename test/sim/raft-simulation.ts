import type { Effect } from '../../src/raft/effect.ts'
import { configurationOf } from '../../src/raft/configuration.ts'
import type { RaftLog } from '../../src/raft/log.ts'
import { memberId, nameOf } from '../../src/raft/member-id.ts'
import type { Entry, Message } from '../../src/raft/message.ts'
import { decodeMessage, encodeMessage } from '../../src/raft/message-codec.ts'
import { wakeAt } from '../../src/raft/on-tick.ts'
import {
  MEMBERSHIP_VERSION,
  neededVersion,
  OLDEST_VERSION,
  PROTOCOL_VERSION,
} from '../../src/raft/protocol.ts'
import { membersOf } from '../../src/raft/quorum.ts'
import type { step } from '../../src/raft/raft.ts'
import type { RaftState } from '../../src/raft/state.ts'
import { RAFT_TIMINGS } from '../../src/raft/timing.ts'
import { genesis, RaftNode, type DurableState } from '../support/raft-node.ts'
import { CommittedEntriesStay } from './checkers/committed-entries-stay.ts'
import {
  checkCommitHasAQuorum,
  checkConfigurationFollowsTheLog,
  checkOneChangeAtATime,
  checkOnlyMembersLead,
  checkOnlyVotersCampaign,
  checkQuorumsOverlap,
} from './checkers/configuration-rules.ts'
import { checkLinearizable, type Operation } from './checkers/linearizable-register.ts'
import { LogMatching } from './checkers/log-matching.ts'
import { OneLeaderPerTerm } from './checkers/one-leader-per-term.ts'
import { Violation } from './checkers/violation.ts'
import { RaftOperator, type OperatedWorld } from './raft-operator.ts'
import { RandomStream } from './random-stream.ts'
import { RegisterMachine } from './register-machine.ts'
import { drawShape, type SimulationProfile, type SimulationShape } from './simulation-shape.ts'
import { VirtualTime } from './virtual-time.ts'

export type SimulationOptions = {
  readonly seed: number
  readonly chaosMs?: number
  readonly profile?: SimulationProfile
  /** A planted bug. */
  readonly step?: typeof step
  /** A planted bug: what a disk really keeps. */
  readonly disk?: (durable: DurableState) => DurableState
  /** A planted bug: a host whose disk was replaced goes on under its old identity. */
  readonly keepsIdentity?: boolean
}

export type SimulationResult = {
  /** One line an event: time, member, what it did. */
  readonly trace: readonly string[]
  readonly committed: number
  readonly terms: number
  readonly completed: number
  readonly crashes: number
  readonly snapshots: number
  readonly changes: number
  readonly wipes: number
}

/** Stopped by a checker. The seed stands first and last, what happened before in between. */
export class SimulationFailure extends Error {
  override readonly name = 'SimulationFailure'
  readonly trace: readonly string[]

  constructor(seed: number, cause: unknown, trace: readonly string[]) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    super(`seed ${seed}: ${reason}\n${trace.slice(-60).join('\n')}\nseed ${seed}: ${reason}`, { cause })
    this.trace = trace
  }
}

type Member = {
  readonly name: string
  /** Identity of the log on its disk; absent: there is none yet. */
  id: string | undefined
  /** Protocol version of its program. */
  release: number
  readonly rate: number
  readonly offset: number
  node: RaftNode | undefined
  durable: DurableState
  machine: RegisterMachine
  /** Changes that the running fsync covers. */
  syncing: number
  syncMeanMs: number
  pausedUntil: number
  /** What comes while it is paused. */
  deferred: ((node: RaftNode) => void)[]
  /** A leader that is to die: how many appends it may still send. */
  appendsLeft: number
  /** It has known for longer than this step. */
  isRemoved: boolean
  cancelTimer: () => void
  life: number
}

/** True when an entry with a configuration may have come or gone. */
function mayMeanOthers(before: RaftLog, after: RaftLog): boolean {
  if (before === after) return false
  if (after.entries.length < before.entries.length) return true
  for (let at = after.entries.length - 1; at >= 0; at -= 1) {
    const entry = after.entries[at]
    const known = entry === undefined ? undefined : before.entries[entry.index - before.baseIndex - 1]
    if (entry === known) return false
    if (entry?.kind === 'configuration' || known?.kind === 'configuration') return true
  }
  return false
}

type Waiting = { readonly operation: Operation; readonly finish: (version: number) => void }

/** On its way between two identities, from a program of this protocol version. */
type Address = { readonly from: string; readonly to: string; readonly release: number }

const TRACE_MAX = 2000
const MESSAGES_MAX = 200_000
const CONVERGES = 'converges-when-healed'

/** How long the group may take to agree again: a campaign, an election, and what waited behind slow disks. */
const CALM_MS = 4000

/**
 * A group of members on one virtual clock, with a network that loses, delays, doubles and reorders, disks that forget what
 * was not synced, crashes, pauses and partitions. Same seed, same run. First chaos, in which nothing may break; then all
 * faults end, and everybody must agree soon.
 */
export class RaftSimulation {
  readonly #options: SimulationOptions
  readonly #time = new VirtualTime()
  readonly #members = new Map<string, Member>()
  readonly #names: readonly string[]
  readonly #net: RandomStream
  readonly #disk: RandomStream
  readonly #faults: RandomStream
  readonly #work: RandomStream
  readonly #lives: RandomStream
  readonly #shape: SimulationShape
  #loss: number
  #delayMs: number
  readonly #blocked = new Set<string>()
  readonly #trace: string[] = []
  readonly #leaders = new OneLeaderPerTerm()
  readonly #logs = new LogMatching()
  readonly #commits = new CommittedEntriesStay()
  /** Index of the entry that each change of members has made. */
  readonly #changes = new Map<string, number>()
  #incarnations = 0
  #wipes = 0
  #messages = 0
  readonly #history: Operation[] = []
  readonly #writes = new Map<string, Waiting & { readonly member: Member; readonly life: number }>()
  readonly #reads = new Map<
    string,
    Waiting & { readonly member: Member; readonly life: number; index?: number }
  >()
  #operations = 0
  #crashes = 0
  #snapshots = 0
  #isCalm = false

  constructor(options: SimulationOptions) {
    const { seed } = options
    this.#options = options
    this.#net = new RandomStream(seed, 'net')
    this.#disk = new RandomStream(seed, 'disk')
    this.#faults = new RandomStream(seed, 'faults')
    this.#work = new RandomStream(seed, 'work')
    this.#lives = new RandomStream(seed, 'lives')
    this.#shape = drawShape(seed, options.profile ?? 'any')
    this.#loss = this.#shape.loss
    this.#delayMs = this.#shape.delayMs
    const { voters, learners, spares, syncMs, isUpgrade } = this.#shape
    this.#names = [...voters, ...learners, ...spares]
    this.#names.forEach((name, index) => {
      this.#members.set(name, {
        name,
        id: spares.includes(name) ? undefined : name,
        release: isUpgrade && this.#lives.chance(0.8) ? OLDEST_VERSION : PROTOCOL_VERSION,
        rate: this.#lives.between(0.97, 1.03),
        offset: this.#lives.between(0, 10_000),
        node: undefined,
        durable: spares.includes(name) ? genesis([]) : genesis(voters, learners),
        machine: new RegisterMachine(),
        syncing: 0,
        syncMeanMs: syncMs[index] ?? 1,
        pausedUntil: 0,
        deferred: [],
        appendsLeft: Number.POSITIVE_INFINITY,
        isRemoved: false,
        cancelTimer: () => {},
        life: 0,
      })
    })
  }

  run(): SimulationResult {
    try {
      return this.#run()
    } catch (thrown) {
      throw new SimulationFailure(this.#options.seed, thrown, this.#trace)
    }
  }

  #run(): SimulationResult {
    const chaosMs = this.#options.chaosMs ?? 8000
    for (const member of this.#members.values()) this.#start(member)
    for (const client of ['x', 'y', 'z']) this.#clientLoop(client)
    this.#faultLoop()
    this.#startOperator()
    this.#time.runUntil(chaosMs)
    this.#heal()
    this.#time.runUntil(chaosMs + CALM_MS)
    this.#checkProgress()
    checkLinearizable(this.#history)
    const terms = Math.max(...[...this.#members.values()].map(({ node }) => node?.state.term ?? 0))
    const completed = this.#history.filter(({ completedAt }) => completedAt !== undefined).length
    return {
      trace: this.#trace,
      committed: this.#commits.lastIndex,
      terms,
      completed,
      crashes: this.#crashes,
      snapshots: this.#snapshots,
      changes: this.#changes.size,
      wipes: this.#wipes,
    }
  }

  // Members.

  #localNow({ rate, offset }: Member): number {
    return this.#time.now * rate + offset
  }

  #start(member: Member): void {
    const { name, id } = member
    if (id === undefined) return
    member.life += 1
    member.syncing = 0
    member.machine = new RegisterMachine()
    member.machine.restore(member.durable.snapshot.body)
    let appliedBefore = member.durable.snapshot.index
    const options = {
      name: id,
      group: 'sim',
      timing: RAFT_TIMINGS.lan,
      chunkLength: this.#shape.chunkLength,
      durable: member.durable,
      seed: this.#lives.below(2 ** 31),
      now: this.#localNow(member),
    }
    const plantedStep = this.#options.step
    member.node = new RaftNode(plantedStep === undefined ? options : { ...options, step: plantedStep }, {
      send: (to, message) => this.#send(member, to, message),
      applied: (entry) => {
        this.#note(name, `applies ${entry.index}@${entry.term}`)
        this.#commits.seeApplied(name, appliedBefore, entry)
        appliedBefore = entry.index
        if (entry.kind === 'command') member.machine.apply(entry.index, entry.body)
        if (entry.kind === 'configuration') this.#seeChange(entry)
        this.#afterApply(member, entry.kind === 'command' ? entry.body : undefined)
      },
      restored: (snapshot) => {
        this.#note(name, `takes snapshot ${snapshot.index}@${snapshot.term}`)
        this.#snapshots += 1
        this.#commits.seeRestored(name, appliedBefore, snapshot)
        this.#commits.seeImage(name, snapshot.index, snapshot.body)
        appliedBefore = snapshot.index
        member.machine.restore(snapshot.body)
        this.#afterApply(member, undefined)
      },
      effect: (effect) => this.#effect(member, effect),
    })
    this.#note(name, 'starts')
    this.#arm(member)
  }

  /** Lets a member do something, when it is not paused, and looks at it afterwards. */
  #act(member: Member, run: (node: RaftNode) => void): void {
    const { node } = member
    if (node === undefined) return
    if (this.#time.now < member.pausedUntil) {
      member.deferred.push(run)
      return
    }
    const before = node.state
    run(node)
    const after = node.state
    this.#look(node.name, before, after)
    member.isRemoved = after.removedAt !== undefined
    if (after.role !== before.role || after.term !== before.term) {
      this.#note(member.name, `is ${after.role} term=${after.term}`)
      if (after.role === 'leader') this.#seeNewLeader(member, after)
    }
    this.#syncLater(member)
    this.#arm(member)
  }

  /** Everything that must hold after each step. */
  #look(id: string, before: RaftState, after: RaftState): void {
    this.#leaders.seeState(id, after)
    checkOnlyVotersCampaign(id, after)
    if (before.removedAt !== undefined && after.removedAt !== undefined && after.role !== 'follower') {
      throw new Violation(`${id} was removed and is ${after.role}`, 'removed-members-are-silent')
    }
    checkOnlyMembersLead(id, after)
    if (after.log !== before.log) this.#logs.see(id, before.log, after.log)
    if (
      after.configurationIndex !== before.configurationIndex ||
      after.configuration !== before.configuration
    ) {
      this.#note(id, `has voters ${after.configuration.voters.join()} by entry ${after.configurationIndex}`)
      checkQuorumsOverlap(id, after)
      checkOneChangeAtATime(id, before, after)
    }
    if (mayMeanOthers(before.log, after.log)) checkConfigurationFollowsTheLog(id, after)
    if (after.role === 'leader' && after.commit > before.commit && after.term === before.term) {
      checkCommitHasAQuorum(id, after, (member) => this.#diskOf(member))
    }
  }

  #diskOf(id: string): DurableState | undefined {
    const host = this.#members.get(nameOf(id))
    return host?.id === id ? (host.node?.durable ?? host.durable) : undefined
  }

  /** A change that was asked for again, by whatever way, is made once. */
  #seeChange(entry: Entry): void {
    const change = configurationOf(entry).changes?.at(-1) ?? ''
    const known = this.#changes.get(change)
    if (known !== undefined && known !== entry.index) {
      throw new Violation(`${change} was made at ${known} and at ${entry.index}`, 'change-made-once')
    }
    this.#changes.set(change, entry.index)
  }

  #seeNewLeader(member: Member, state: RaftState): void {
    this.#commits.seeNewLeader(member.name, state)
    if (this.#isCalm || !this.#faults.chance(this.#shape.regicide)) return
    member.appendsLeft = this.#faults.pick([0, 0, 0, 1, 2, 3, 4, 5, 6, 8])
  }

  #arm(member: Member): void {
    member.cancelTimer()
    const { node } = member
    if (node === undefined) return
    const at = (wakeAt(node.state, this.#localNow(member)) - member.offset) / member.rate
    // A real timer is never exact.
    member.cancelTimer = this.#time.at(Math.max(at, this.#time.now) + 0.01, () => {
      this.#act(member, (acting) => acting.input({ kind: 'tick' }, this.#localNow(member)))
    })
  }

  #syncLater(member: Member): void {
    const { node, life } = member
    if (node === undefined || member.syncing > 0 || node.changeCount === 0) return
    const count = node.changeCount
    member.syncing = count
    this.#time.after(this.#disk.exponential(member.syncMeanMs), () => {
      if (member.life !== life) return
      this.#act(member, (syncing) => {
        member.syncing = 0
        syncing.sync(count, this.#localNow(member))
      })
    })
  }

  #crash(member: Member): void {
    const { node } = member
    if (node === undefined) return
    this.#crashes += 1
    const kept = this.#disk.below(member.syncing + 1)
    this.#note(member.name, `crashes, ${node.changeCount} changes not synced, ${kept} kept`)
    const durable = node.crash(kept)
    member.durable = this.#options.disk?.(durable) ?? durable
    member.node = undefined
    member.life += 1
    member.pausedUntil = 0
    member.deferred = []
    member.isRemoved = false
    member.appendsLeft = Number.POSITIVE_INFINITY
    member.cancelTimer()
  }

  // The network.

  #send(member: Member, to: string, message: Message): void {
    const { id: from = '', release } = member
    this.#leaders.seeMessage(from, to, message)
    // Votes and answers may have waited for the disk since before.
    const isFresh = ['append', 'heartbeat', 'propose', 'read', 'change-request'].includes(message.kind)
    if (member.isRemoved && isFresh) {
      throw new Violation(
        `${from} says ${message.kind} and knows that it was removed`,
        'removed-members-are-silent',
      )
    }
    if (message.kind === 'append' && this.#diesOf(member.name)) return
    const said = this.#overTheWire({ from, to, release }, this.#shortened(message))
    const copies = this.#net.chance(this.#shape.duplicates) ? 2 : 1
    for (let copy = 0; copy < copies; copy += 1) {
      if (this.#net.chance(this.#loss)) continue
      this.#time.after(this.#net.exponential(this.#delayMs), () => this.#deliver({ from, to, release }, said))
    }
  }

  /** Every fourth message becomes bytes and is read again: the codec has its own tests, and it is most of the work. */
  #overTheWire({ from, to, release }: Address, message: Message): Message {
    this.#messages += 1
    // A few thousand are usual: two that answer each other at once would never end.
    if (this.#messages > MESSAGES_MAX) throw new Violation('There is no end of messages', 'no-message-storm')
    if (this.#messages % 4 !== 0) return message
    const decoded = decodeMessage(encodeMessage({ group: 'sim', from, to, message }, release))
    if (decoded.kind === 'refused') {
      throw new Violation(`A member sent what nobody can read: ${decoded.reason}`, 'messages-can-be-read')
    }
    return decoded.envelope.message
  }

  /** Counts the last appends of a leader that is to die; true when this one does not leave any more. */
  #diesOf(from: string): boolean {
    const member = this.#members.get(from)
    if (member === undefined || this.#isCalm) return false
    member.appendsLeft -= 1
    if (member.appendsLeft >= 0) return false
    const { life } = member
    // Its disk often gets what the others never do.
    this.#time.after(this.#faults.exponential(3 * member.syncMeanMs), () => {
      if (member.life === life) this.#crashFor(member, this.#faults.exponential(this.#faults.pick([30, 500])))
    })
    return true
  }

  /** A leader may send fewer entries at a time than it does: what then lies on which disk is more various. */
  #shortened(message: Message): Message {
    if (message.kind !== 'append' || message.entries.length < 2 || !this.#net.chance(this.#shape.shortening))
      return message
    return { ...message, entries: message.entries.slice(0, this.#net.below(message.entries.length, 1)) }
  }

  #deliver({ from, to, release }: Address, message: Message): void {
    const member = this.#members.get(nameOf(to))
    const link = `${nameOf(from)}>${nameOf(to)}`
    // As the driver does: what is meant for the log that was here before is not for this one.
    if (member?.node === undefined || member.id !== to || this.#blocked.has(link)) return
    if (neededVersion(message) > member.release) {
      throw new Violation(
        `${from} says ${message.kind} to ${to}, which does not know it`,
        'messages-can-be-read',
      )
    }
    if (message.kind !== 'heartbeat' && message.kind !== 'heartbeat-response') {
      this.#note(to, `gets ${message.kind} from ${from}`)
    }
    // The release before knew no versions and took everybody for one of its own.
    const version = Math.min(release, member.release)
    this.#act(member, (node) => {
      node.input({ kind: 'message', group: 'sim', from, version, message }, this.#localNow(member))
    })
  }

  // Faults.

  #faultLoop(): void {
    this.#time.after(this.#faults.exponential(this.#shape.faultMs), () => {
      if (this.#isCalm) return
      this.#fault()
      this.#faultLoop()
    })
  }

  #fault(): void {
    const faults = this.#faults
    const member = this.#members.get(faults.pick(this.#names)) as Member
    const leader = [...this.#members.values()].find(({ node }) => node?.state.role === 'leader')
    const target = faults.chance(0.4) ? (leader ?? member) : member
    const kind = faults.pick([
      'crash',
      'crash',
      'partition',
      'partition',
      'chain',
      'pause',
      'heal',
      'transfer',
      'lost',
      'power',
      ...Array.from({ length: this.#shape.compactions }, () => 'compact'),
    ])
    switch (kind) {
      case 'crash':
        this.#crashFor(target, faults.exponential(faults.pick([20, 300, 2000])))
        break
      case 'power':
        for (const each of this.#members.values()) this.#crashFor(each, faults.exponential(300))
        break
      case 'partition':
        this.#partition()
        break
      case 'chain':
        this.#chain()
        break
      case 'heal':
        this.#blocked.clear()
        break
      case 'pause':
        this.#pause(target, faults.exponential(faults.pick([100, 1000])))
        break
      case 'transfer':
        this.#act(target, (node) => {
          const to = faults.pick(this.#names)
          node.input({ kind: 'transfer', to: this.#members.get(to)?.id ?? to }, this.#localNow(target))
        })
        break
      case 'compact':
        this.#compact(leader ?? member)
        break
      case 'lost':
        this.#act(target, (node) => {
          const peer = faults.pick(this.#names)
          node.input({ kind: 'peer-lost', peer: this.#members.get(peer)?.id ?? peer }, this.#localNow(target))
        })
    }
  }

  #pause(member: Member, ms: number): void {
    member.pausedUntil = this.#time.now + ms
    this.#note(member.name, 'is paused')
    this.#time.at(member.pausedUntil, () => this.#wake(member))
  }

  /** Everything that came meanwhile happens now, in order. */
  #wake(member: Member): void {
    if (this.#time.now < member.pausedUntil) return
    for (const run of member.deferred.splice(0)) this.#act(member, run)
  }

  /** The others may notice, as they would by a broken connection. */
  #crashFor(member: Member, ms: number): void {
    this.#crash(member)
    const peer = member.id ?? member.name
    for (const other of this.#members.values()) {
      if (other === member || this.#faults.chance(0.3)) continue
      this.#time.after(this.#delayMs, () => {
        this.#act(other, (node) => node.input({ kind: 'peer-lost', peer }, this.#localNow(other)))
      })
    }
    this.#time.after(ms, () => {
      if (member.node !== undefined) return
      if (this.#faults.chance(0.5)) member.release = PROTOCOL_VERSION
      this.#start(member)
    })
  }

  /** Two sides, one member alone, or single directions. */
  #partition(): void {
    const faults = this.#faults
    this.#blocked.clear()
    const isSymmetric = faults.chance(0.7)
    const side = new Set(
      faults.chance(0.5) ? [faults.pick(this.#names)] : this.#names.filter(() => faults.chance(0.5)),
    )
    for (const from of this.#names) {
      for (const to of this.#names) {
        if (side.has(from) === side.has(to)) continue
        if (isSymmetric || faults.chance(0.5)) this.#blocked.add(`${from}>${to}`)
      }
    }
    this.#note('net', `${isSymmetric ? 'splits' : 'loses directions of'} ${[...side].join('')}`)
  }

  /** Partial connectivity: some do not reach each other, and everybody reaches somebody. */
  #chain(): void {
    const faults = this.#faults
    this.#blocked.clear()
    const order = this.#names.toSorted(() => (faults.chance(0.5) ? 1 : -1))
    const middle = faults.chance(0.5) ? order[0] : undefined
    order.forEach((left, at) => {
      for (const right of order.slice(at + 1)) {
        const isLinked = middle === undefined ? order[at + 1] === right : left === middle
        if (isLinked) continue
        this.#blocked.add(`${left}>${right}`)
        this.#blocked.add(`${right}>${left}`)
      }
    })
    this.#note('net', `is a ${middle === undefined ? 'chain' : 'star'} ${order.join('')}`)
  }

  #compact(member: Member): void {
    this.#act(member, (node) => {
      const body = member.machine.image()
      this.#commits.seeImage(node.name, node.applied, body)
      const request = { index: node.applied, body, keep: this.#faults.below(4) }
      node.input({ kind: 'compact', ...request }, this.#localNow(member))
    })
  }

  #heal(): void {
    this.#isCalm = true
    this.#note('net', 'heals')
    this.#blocked.clear()
    this.#loss = 0
    this.#delayMs = Math.min(this.#delayMs, 5)
    for (const member of this.#members.values()) {
      member.syncMeanMs = Math.min(member.syncMeanMs, 20)
      member.pausedUntil = Math.min(member.pausedUntil, this.#time.now)
      this.#wake(member)
      if (member.release < PROTOCOL_VERSION) {
        this.#crash(member)
        member.release = PROTOCOL_VERSION
      }
      if (member.node === undefined) this.#start(member)
    }
  }

  // Members that come and go.

  #startOperator(): void {
    const { operatorMs, wipes } = this.#shape
    if (operatorMs === undefined) return
    const world: OperatedWorld = {
      time: this.#time,
      isCalm: () => this.#isCalm,
      hosts: () =>
        [...this.#members.values()].map(({ name, id, node, durable, pausedUntil }) => ({
          name,
          id,
          state: node?.state,
          durable: node?.durable ?? durable,
          isPaused: pausedUntil > this.#time.now,
        })),
      ask: (host, { id, attempt, change }) => {
        const member = this.#members.get(host) as Member
        // The release before had no way to ask.
        if (member.release < MEMBERSHIP_VERSION) return
        this.#note(host, `is asked for ${id}: ${change.kind} ${change.member}`)
        this.#act(member, (node) =>
          node.input({ kind: 'change', id, attempt, change }, this.#localNow(member)),
        )
      },
      begin: (host) => this.#beginAnew(this.#members.get(host) as Member),
      wipe: (host) => {
        const member = this.#members.get(host) as Member
        this.#wipes += 1
        const { id } = member
        if (this.#options.keepsIdentity === true && id !== undefined) this.#wipeAndKeep(member)
        else this.#beginAnew(member)
      },
    }
    const operator = new RaftOperator(world, new RandomStream(this.#options.seed, 'operator'), {
      meanMs: operatorMs,
      wipes,
    })
    operator.start()
  }

  #beginAnew(member: Member): string {
    this.#crash(member)
    this.#incarnations += 1
    const id = memberId(member.name, String(this.#incarnations))
    member.id = id
    member.release = PROTOCOL_VERSION
    member.durable = genesis([])
    this.#note(member.name, `has an empty log as ${id}`)
    this.#start(member)
    return id
  }

  #wipeAndKeep(member: Member): void {
    this.#crash(member)
    member.durable = genesis(this.#shape.voters, this.#shape.learners)
    this.#note(member.name, `has an empty log and is ${member.id} again`)
    this.#start(member)
  }

  // Clients.

  #clientLoop(client: string): void {
    this.#time.after(this.#work.exponential(60), () => {
      const member = this.#drawServer()
      let isOver = false
      const next = (): void => {
        if (!isOver) this.#clientLoop(client)
        isOver = true
      }
      this.#operate(client, member, next)
      // Without an answer the client goes on; what it asked for may still happen.
      this.#time.after(1000, next)
    })
  }

  /** Clients ask hosts that take part, as far as these know themselves; sometimes one that is down. */
  #drawServer(): Member {
    const leader = [...this.#members.values()].find(({ node }) => node?.state.role === 'leader')?.node
    if (this.#isCalm && leader !== undefined) {
      // Whom nobody reached who knows better may still think that it is a member.
      const current = membersOf(leader.state.configuration)
      return this.#work.pick([...this.#members.values()].filter(({ id }) => current.includes(id ?? '')))
    }
    const members = [...this.#members.values()].filter(
      ({ id, node }) =>
        id !== undefined &&
        node?.state.removedAt === undefined &&
        (node === undefined || membersOf(node.state.configuration).includes(id)),
    )
    return this.#work.pick(members)
  }

  #operate(client: string, member: Member, next: () => void): void {
    this.#operations += 1
    const id = `${client}${this.#operations}`
    const kind = this.#work.chance(0.5) ? 'write' : 'read'
    const operation: Operation = { kind, client, invokedAt: this.#time.now }
    const at = this.#history.push(operation) - 1
    const finish = (version: number): void => {
      this.#history[at] = { ...operation, completedAt: this.#time.now, version }
      next()
    }
    const waiting = { operation, finish, member, life: member.life }
    if (kind === 'write') this.#writes.set(id, waiting)
    else this.#reads.set(id, waiting)
    this.#act(member, (node) => {
      if (kind === 'write') node.input({ kind: 'propose', ticket: 0, body: id }, this.#localNow(member))
      else node.input({ kind: 'read', id }, this.#localNow(member))
    })
  }

  /** The client that asked this member, in this life, gets its answer from it. */
  #afterApply(member: Member, body: string | undefined): void {
    const write = body === undefined ? undefined : this.#writes.get(body)
    if (body !== undefined && write !== undefined && write.member === member && write.life === member.life) {
      this.#writes.delete(body)
      write.finish(member.machine.version)
    }
    this.#answerReads(member)
  }

  #answerReads(member: Member): void {
    for (const [id, read] of this.#reads) {
      if (read.member !== member || read.life !== member.life || read.index === undefined) continue
      if ((member.node?.applied ?? 0) < read.index) continue
      this.#reads.delete(id)
      read.finish(member.machine.version)
    }
  }

  #effect(
    member: Member,
    effect: Exclude<Effect, { kind: 'persist' | 'send' | 'commit' | 'restore' }>,
  ): void {
    if (effect.kind === 'removed') this.#note(member.name, 'learns that it was removed')
    if (effect.kind === 'change-answered')
      this.#note(member.name, `is told ${JSON.stringify(effect.verdict)}`)
    if (effect.kind !== 'read-confirmed') return
    const read = this.#reads.get(effect.id)
    if (read === undefined || read.index !== undefined) return
    read.index = effect.index
    this.#answerReads(member)
  }

  /** After the faults: one leader, equal logs, and new operations that complete. */
  #checkProgress(): void {
    const states = [...this.#members.values()].map(({ node }) => node?.state)
    const leaders = states.filter((state) => state?.role === 'leader')
    if (leaders.length !== 1)
      throw new Violation(`4 s after the last fault there are ${leaders.length} leaders`, CONVERGES)
    const fresh = this.#history.filter(
      ({ invokedAt, completedAt }) => completedAt !== undefined && invokedAt > this.#time.now - CALM_MS / 2,
    )
    if (fresh.length === 0)
      throw new Violation('4 s after the last fault no operation is answered', CONVERGES)
    const members = membersOf(leaders[0]?.configuration ?? { voters: [], learners: [] })
    for (const { name, id, node } of this.#members.values()) {
      if (id === undefined || !members.includes(id)) continue
      if ((node?.applied ?? 0) < this.#commits.lastIndex - 100) {
        throw new Violation(
          `${name} has applied ${node?.applied} of ${this.#commits.lastIndex} entries`,
          CONVERGES,
        )
      }
    }
  }

  #note(who: string, what: string): void {
    this.#trace.push(`${this.#time.now.toFixed(3).padStart(10)} ${who} ${what}`)
    if (this.#trace.length > TRACE_MAX) this.#trace.splice(0, TRACE_MAX / 2)
  }
}
