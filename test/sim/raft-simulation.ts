import type { Effect } from '../../src/raft/effect.ts'
import type { Message } from '../../src/raft/message.ts'
import { decodeMessage, encodeMessage } from '../../src/raft/message-codec.ts'
import { wakeAt } from '../../src/raft/on-tick.ts'
import type { step } from '../../src/raft/raft.ts'
import type { RaftState } from '../../src/raft/state.ts'
import { RAFT_TIMINGS } from '../../src/raft/timing.ts'
import { genesis, RaftNode, type DurableState } from '../support/raft-node.ts'
import { CommittedEntriesStay } from './checkers/committed-entries-stay.ts'
import { checkLinearizable, type Operation } from './checkers/linearizable-register.ts'
import { LogMatching } from './checkers/log-matching.ts'
import { OneLeaderPerTerm } from './checkers/one-leader-per-term.ts'
import { Violation } from './checkers/violation.ts'
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
}

export type SimulationResult = {
  /** One line an event: time, member, what it did. */
  readonly trace: readonly string[]
  readonly committed: number
  readonly terms: number
  readonly completed: number
  readonly crashes: number
  readonly snapshots: number
}

/** Stopped by a checker. The seed stands first and last, what happened before in between. */
export class SimulationFailure extends Error {
  override readonly name = 'SimulationFailure'

  constructor(seed: number, cause: unknown, trace: readonly string[]) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    super(`seed ${seed}: ${reason}\n${trace.slice(-60).join('\n')}\nseed ${seed}: ${reason}`, { cause })
  }
}

type Member = {
  readonly name: string
  readonly rate: number
  readonly offset: number
  node: RaftNode | undefined
  durable: DurableState
  machine: RegisterMachine
  /** Changes that the running fsync covers. */
  syncing: number
  syncMeanMs: number
  pausedUntil: number
  /** A leader that is to die: how many appends it may still send. */
  appendsLeft: number
  cancelTimer: () => void
  life: number
}

type Waiting = { readonly operation: Operation; readonly finish: (version: number) => void }

const TRACE_MAX = 2000

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
    const { voters, learners, syncMs } = this.#shape
    this.#names = [...voters, ...learners]
    this.#names.forEach((name, index) => {
      this.#members.set(name, {
        name,
        rate: this.#lives.between(0.97, 1.03),
        offset: this.#lives.between(0, 10_000),
        node: undefined,
        durable: genesis(voters, learners),
        machine: new RegisterMachine(),
        syncing: 0,
        syncMeanMs: syncMs[index] ?? 1,
        pausedUntil: 0,
        appendsLeft: Number.POSITIVE_INFINITY,
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
    }
  }

  // Members.

  #localNow({ rate, offset }: Member): number {
    return this.#time.now * rate + offset
  }

  #start(member: Member): void {
    const { name } = member
    member.life += 1
    member.syncing = 0
    member.machine = new RegisterMachine()
    member.machine.restore(member.durable.snapshot.body)
    let appliedBefore = member.durable.snapshot.index
    const options = {
      name,
      group: 'sim',
      timing: RAFT_TIMINGS.lan,
      durable: member.durable,
      seed: this.#lives.below(2 ** 31),
      now: this.#localNow(member),
    }
    const plantedStep = this.#options.step
    member.node = new RaftNode(plantedStep === undefined ? options : { ...options, step: plantedStep }, {
      send: (to, message) => this.#send(name, to, message),
      applied: (entry) => {
        this.#note(name, `applies ${entry.index}@${entry.term}`)
        this.#commits.seeApplied(name, appliedBefore, entry)
        appliedBefore = entry.index
        if (entry.kind === 'command') member.machine.apply(entry.index, entry.body)
        this.#afterApply(member, entry.kind === 'command' ? entry.body : undefined)
      },
      restored: (snapshot) => {
        this.#note(name, `takes snapshot ${snapshot.index}@${snapshot.term}`)
        this.#snapshots += 1
        this.#commits.seeRestored(name, appliedBefore, snapshot)
        appliedBefore = snapshot.index
        member.machine.restore(snapshot.body)
        this.#commits.seeImage(name, snapshot.index, member.machine.image())
        this.#afterApply(member, undefined)
      },
      effect: (effect) => this.#effect(member, effect),
    })
    this.#note(name, 'starts')
    this.#arm(member)
  }

  /** Lets a member do something, when it is not paused, and looks at it afterwards. */
  #act(member: Member, run: (node: RaftNode) => void): void {
    const { life } = member
    if (this.#time.now < member.pausedUntil) {
      this.#time.at(member.pausedUntil, () => {
        if (member.life === life && member.node !== undefined) this.#act(member, run)
      })
      return
    }
    const { node } = member
    if (node === undefined) return
    const before = node.state
    run(node)
    const after = node.state
    this.#leaders.seeState(member.name, after)
    if (after.log !== before.log) this.#logs.see(member.name, before.log, after.log)
    if (after.role !== before.role || after.term !== before.term) {
      this.#note(member.name, `is ${after.role} term=${after.term}`)
      if (after.role === 'leader') this.#seeNewLeader(member, after)
    }
    this.#syncLater(member)
    this.#arm(member)
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
    member.appendsLeft = Number.POSITIVE_INFINITY
    member.cancelTimer()
  }

  // The network.

  #send(from: string, to: string, message: Message): void {
    this.#leaders.seeMessage(from, to, message)
    if (message.kind === 'append' && this.#diesOf(from)) return
    const bytes = encodeMessage({ group: 'sim', from, to, message: this.#shortened(message) })
    const copies = this.#net.chance(this.#shape.duplicates) ? 2 : 1
    for (let copy = 0; copy < copies; copy += 1) {
      if (this.#net.chance(this.#loss)) continue
      this.#time.after(this.#net.exponential(this.#delayMs), () => this.#deliver(from, to, bytes))
    }
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

  #deliver(from: string, to: string, bytes: Uint8Array): void {
    const member = this.#members.get(to)
    if (member?.node === undefined || this.#blocked.has(`${from}>${to}`)) return
    const decoded = decodeMessage(bytes)
    if (decoded.kind === 'refused')
      throw new Violation(`A member sent what nobody can read: ${decoded.reason}`)
    const { message } = decoded.envelope
    if (message.kind !== 'heartbeat' && message.kind !== 'heartbeat-response') {
      this.#note(to, `gets ${message.kind} from ${from}`)
    }
    this.#act(member, (node) => {
      node.input({ kind: 'message', group: 'sim', from, message }, this.#localNow(member))
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
      'pause',
      'heal',
      'transfer',
      'compact',
      'lost',
      'power',
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
      case 'heal':
        this.#blocked.clear()
        break
      case 'pause':
        target.pausedUntil = this.#time.now + faults.exponential(faults.pick([100, 1000]))
        this.#note(target.name, 'is paused')
        break
      case 'transfer':
        this.#act(target, (node) => {
          node.input({ kind: 'transfer', to: faults.pick(this.#names) }, this.#localNow(target))
        })
        break
      case 'compact':
        this.#compact(leader ?? member)
        break
      case 'lost':
        this.#act(target, (node) => {
          node.input({ kind: 'peer-lost', peer: faults.pick(this.#names) }, this.#localNow(target))
        })
    }
  }

  /** The others may notice, as they would by a broken connection. */
  #crashFor(member: Member, ms: number): void {
    this.#crash(member)
    const peer = member.name
    for (const other of this.#members.values()) {
      if (other === member || this.#faults.chance(0.3)) continue
      this.#time.after(this.#delayMs, () => {
        this.#act(other, (node) => node.input({ kind: 'peer-lost', peer }, this.#localNow(other)))
      })
    }
    this.#time.after(ms, () => {
      if (member.node === undefined) this.#start(member)
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

  #compact(member: Member): void {
    this.#act(member, (node) => {
      const request = { index: node.applied, body: member.machine.image(), keep: this.#faults.below(4) }
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
      if (member.node === undefined) this.#start(member)
    }
  }

  // Clients.

  #clientLoop(client: string): void {
    this.#time.after(this.#work.exponential(60), () => {
      const member = this.#members.get(this.#work.pick(this.#names)) as Member
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
      throw new Violation(`4 s after the last fault there are ${leaders.length} leaders`)
    const fresh = this.#history.filter(
      ({ invokedAt, completedAt }) => completedAt !== undefined && invokedAt > this.#time.now - CALM_MS / 2,
    )
    if (fresh.length === 0) throw new Violation('4 s after the last fault no operation is answered')
    for (const { name, node } of this.#members.values()) {
      if ((node?.applied ?? 0) < this.#commits.lastIndex - 100) {
        throw new Violation(`${name} has applied ${node?.applied} of ${this.#commits.lastIndex} entries`)
      }
    }
  }

  #note(who: string, what: string): void {
    this.#trace.push(`${this.#time.now.toFixed(3).padStart(10)} ${who} ${what}`)
    if (this.#trace.length > TRACE_MAX) this.#trace.splice(0, TRACE_MAX / 2)
  }
}
