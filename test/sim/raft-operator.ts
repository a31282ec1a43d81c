import { configurationAt, latestConfiguration } from '../../src/raft/configuration.ts'
import { nameOf } from '../../src/raft/member-id.ts'
import type { MembershipChange } from '../../src/raft/membership-change.ts'
import type { Configuration } from '../../src/raft/message.ts'
import { majority, membersOf } from '../../src/raft/quorum.ts'
import type { RaftState } from '../../src/raft/state.ts'
import type { RandomStream } from './random-stream.ts'
import type { DurableState } from '../support/raft-node.ts'
import type { VirtualTime } from './virtual-time.ts'

/** A host, as the operator sees it. */
export type OperatedHost = {
  readonly name: string
  /** Identity of the log on its disk; absent: there is none. */
  readonly id: string | undefined
  readonly state: RaftState | undefined
  readonly durable: DurableState
  readonly isPaused: boolean
}

export type OperatedWorld = {
  readonly time: VirtualTime
  hosts(): readonly OperatedHost[]
  isCalm(): boolean
  ask(host: string, request: { id: string; attempt: number; change: MembershipChange }): void
  /** An empty log under a new identity, running. */
  begin(host: string): string
  /** The disk is lost, with all that was promised on it. */
  wipe(host: string): void
}

const VOTERS_MAX = 5
/** Longer than a leader believes that it hears a member that is gone. */
const QUIET_MS = 1500

/**
 * Somebody who adds, promotes and removes members without asking whether it is a good moment, sometimes twice at once and
 * sometimes the same twice. About disks it is careful, as a group with a majority of them gone is gone: one at a time, and
 * while no other change is under way.
 */
export class RaftOperator {
  readonly #world: OperatedWorld
  readonly #chance: RandomStream
  readonly #meanMs: number
  readonly #wipes: number
  #changes = 0

  constructor(
    world: OperatedWorld,
    chance: RandomStream,
    options: { readonly meanMs: number; readonly wipes: number },
  ) {
    this.#world = world
    this.#chance = chance
    this.#meanMs = options.meanMs
    this.#wipes = options.wipes
  }

  start(): void {
    this.#world.time.after(this.#chance.exponential(this.#meanMs), () => {
      if (this.#world.isCalm()) return
      if (this.#chance.chance(this.#wipes)) this.#world.time.after(QUIET_MS, () => this.#replaceDisk())
      else {
        this.#change()
        if (this.#chance.chance(0.3)) this.#change()
        this.start()
      }
    })
  }

  #change(): void {
    const asked = this.#drawAsked()
    const change = this.#drawChange()
    if (change !== undefined) this.#ask(asked, change)
  }

  #ask(asked: string, change: MembershipChange): void {
    this.#changes += 1
    const id = `c${this.#changes}`
    this.#world.ask(asked, { id, attempt: 1, change })
    if (!this.#chance.chance(0.3)) return
    // No answer came, or not soon enough: asked again, perhaps another one.
    this.#world.time.after(this.#chance.exponential(200), () => {
      if (!this.#world.isCalm()) this.#world.ask(this.#drawAsked(), { id, attempt: 2, change })
    })
  }

  /** Anybody may be asked; a leader knows best. */
  #drawAsked(): string {
    const hosts = this.#world.hosts()
    const leaders = hosts.filter(({ state }) => state?.role === 'leader')
    return this.#chance.pick(leaders.length > 0 && this.#chance.chance(0.7) ? leaders : hosts).name
  }

  #drawChange(): MembershipChange | undefined {
    const known = this.#configurations()
    const [current] = known
    if (current === undefined) return undefined
    const inUse = new Set(known.flatMap(membersOf).map(nameOf))
    const free = this.#world.hosts().filter(({ name }) => !inUse.has(name))
    const kind = this.#chance.pick(['add', 'promote', 'promote', 'remove'])
    if (kind === 'add' && free.length > 0) {
      const { name } = this.#chance.pick(free)
      const id = this.#world.begin(name)
      return { kind: 'add-learner', member: name, incarnation: id.slice(name.length + 1) }
    }
    if (kind === 'promote' && current.learners.length > 0 && current.voters.length < VOTERS_MAX) {
      return { kind: 'promote', member: nameOf(this.#chance.pick(current.learners)) }
    }
    return { kind: 'remove', member: nameOf(this.#chance.pick(membersOf(current))) }
  }

  /** What any log says now or once said that it may go back to; the newest of a committed one first. */
  #configurations(): readonly Configuration[] {
    const found: { readonly configuration: Configuration; readonly index: number }[] = []
    for (const { state, durable } of this.#world.hosts()) {
      const { log, snapshot } = state ?? durable
      found.push(latestConfiguration(log, snapshot))
      if (state !== undefined) found.push(configurationAt(log, snapshot, state.commit))
    }
    return found
      .filter(({ configuration }) => configuration.voters.length > 0)
      .toSorted((left, right) => right.index - left.index)
      .map(({ configuration }) => configuration)
  }

  #replaceDisk(): void {
    if (this.#world.isCalm()) return
    const host = this.#chance.pick(this.#world.hosts())
    const configurations = this.#configurations()
    const isBusy = this.#world.hosts().some(({ state, isPaused }) => isPaused || state?.change !== undefined)
    const { id } = host
    const inUse = configurations.filter((configuration) => configuration.voters.includes(id ?? ''))
    if (isBusy || id === undefined || !inUse.every((each) => this.#survives(each, id))) return this.start()
    this.#world.wipe(host.name)
    this.#world.time.after(QUIET_MS, () => this.#removeLost(id))
  }

  /** Members whose disks are as they were are a majority without this one. */
  #survives({ voters }: Configuration, lost: string): boolean {
    const ids = new Set(this.#world.hosts().map(({ id }) => id))
    return voters.filter((voter) => voter !== lost && ids.has(voter)).length >= majority(voters.length)
  }

  /** Nothing else is changed before the old identity is gone. */
  #removeLost(id: string): void {
    if (this.#world.isCalm()) return
    const isGone = !this.#configurations().some((configuration) => membersOf(configuration).includes(id))
    if (isGone) return this.start()
    this.#ask(this.#drawAsked(), { kind: 'remove', member: nameOf(id) })
    this.#world.time.after(300, () => this.#removeLost(id))
  }
}
