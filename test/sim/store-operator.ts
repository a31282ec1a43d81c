import { MEMBERSHIP_VERSION } from '../../src/raft/protocol.ts'
import type { MembershipChange } from '../../src/raft/membership-change.ts'
import type { MembershipOutcome } from '../../src/store/raft/pending-changes.ts'
import type { VirtualGroup } from '../support/virtual-group.ts'
import { Violation } from './checkers/violation.ts'
import type { RandomStream } from './random-stream.ts'

const CHECKER = 'members-are-what-was-told'
const VOTERS_MAX = 5
/** Longer than a leader believes that it hears a member that is gone. */
const QUIET_MS = 1500

/**
 * Changes members of a real store's group, one after the other, and keeps a book of what it was told. Replaces disks: that
 * of one voter at a time, which then comes back under a new incarnation.
 */
export class StoreOperator {
  readonly #group: VirtualGroup
  readonly #chance: RandomStream
  readonly #join: (name: string, incarnation: string) => void
  /** Members by what was told; `undefined` once nobody could say what became of a change. */
  #book: Map<string, 'voter' | 'learner'> | undefined
  #isOver = false
  #incarnations = 0
  done = 0
  wipes = 0

  constructor(
    group: VirtualGroup,
    chance: RandomStream,
    options: {
      readonly voters: readonly string[]
      readonly join: (name: string, incarnation: string) => void
    },
  ) {
    this.#group = group
    this.#chance = chance
    this.#join = options.join
    this.#book = new Map(options.voters.map((name) => [name, 'voter']))
  }

  start(meanMs: number): void {
    this.#later(this.#chance.exponential(meanMs), async () => {
      if (this.#chance.chance(0.3)) await this.#replaceDisk()
      else await this.#changeAnything()
      this.start(meanMs)
    })
  }

  /** Nothing new is begun; what is under way gets its answer. */
  end(): void {
    this.#isOver = true
  }

  /** Members as a store says that they are, after all faults ended. */
  check(name: string): void {
    if (this.#book === undefined) return
    const { voters, learners } = this.#group.store(name).membership()
    const found = [
      ...voters.map((member) => `${member.name} voter`),
      ...learners.map((member) => `${member.name} learner`),
    ].toSorted()
    const told = [...this.#book].map(([member, role]) => `${member} ${role}`).toSorted()
    if (found.join() !== told.join()) {
      throw new Violation(`${name} has ${found.join(', ')}; told was ${told.join(', ')}`, CHECKER)
    }
  }

  #later(ms: number, act: () => Promise<void>): void {
    this.#group.time.after(ms, () => {
      if (!this.#isOver) void act()
    })
  }

  async #changeAnything(): Promise<void> {
    const book = this.#book ?? this.#seen()
    const learners = [...book].filter(([, role]) => role === 'learner').map(([name]) => name)
    const free = this.#freeNames()
    const kind = this.#chance.pick(['add', 'promote', 'remove'])
    if (kind === 'add' && free.length > 0) await this.#add(this.#chance.pick(free))
    else if (kind === 'promote' && learners.length > 0 && book.size <= VOTERS_MAX) {
      await this.#ask({ kind: 'promote', member: this.#chance.pick(learners) })
    } else if (book.size > 0) {
      await this.#ask({ kind: 'remove', member: this.#chance.pick([...book.keys()]) })
    }
  }

  /** Without a book nobody knows whose disk is still needed: then only hosts that never were members. */
  #freeNames(): readonly string[] {
    const book = this.#book
    if (book !== undefined) return ['n4', 'n5'].filter((name) => !book.has(name))
    return ['n6', 'n7'].filter((name) => !this.#group.members.has(name))
  }

  /** Without a book: what some member thinks. */
  #seen(): ReadonlyMap<string, 'voter' | 'learner'> {
    const up = [...this.#group.members.values()].flatMap(({ store }) => (store === undefined ? [] : [store]))
    if (up.length === 0) return new Map()
    const { voters, learners } = this.#chance.pick(up).membership()
    return new Map([
      ...voters.map(({ name }) => [name, 'voter'] as const),
      ...learners.map(({ name }) => [name, 'learner'] as const),
    ])
  }

  async #add(name: string): Promise<void> {
    this.#incarnations += 1
    const incarnation = `i${this.#incarnations}`
    this.#join(name, incarnation)
    await this.#ask({ kind: 'add-learner', member: name, incarnation })
  }

  async #ask(change: MembershipChange): Promise<MembershipOutcome> {
    const up = [...this.#group.members.values()].filter(
      ({ store, release }) => store !== undefined && release >= MEMBERSHIP_VERSION,
    )
    if (up.length === 0) return { kind: 'unknown' }
    const { name, life } = this.#chance.pick(up)
    const outcome = await Promise.race([
      this.#group.store(name).changeMembership(change, { deadlineMs: 2500 }),
      this.#died(name, life),
    ])
    if (outcome.kind === 'done') this.#write(change)
    if (outcome.kind === 'unknown') this.#book = undefined
    return outcome
  }

  /** Whoever was asked may be killed, and then nobody answers. */
  #died(name: string, life: number): Promise<MembershipOutcome> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.#group.member(name).life !== life) resolve({ kind: 'unknown' })
        else this.#group.time.after(100, look)
      }
      look()
    })
  }

  #write(change: MembershipChange): void {
    this.done += 1
    if (change.kind === 'remove') this.#book?.delete(change.member)
    else this.#book?.set(change.member, change.kind === 'promote' ? 'voter' : 'learner')
  }

  async #replaceDisk(): Promise<void> {
    // A change that nobody knows the end of may still be made, and need the disk that is about to go.
    const voters = [...(this.#book ?? [])].filter(([, role]) => role === 'voter').map(([name]) => name)
    if (voters.length < 3) return
    const name = this.#chance.pick(voters)
    this.wipes += 1
    this.#incarnations += 1
    const incarnation = `i${this.#incarnations}`
    this.#join(name, incarnation)
    await this.#quiet()
    for (const change of [
      { kind: 'remove', member: name },
      { kind: 'add-learner', member: name, incarnation },
      { kind: 'promote', member: name },
    ] as const) {
      for (;;) {
        const { kind } = await this.#ask(change)
        if (this.#isOver || this.#book === undefined || kind === 'done') break
      }
      if (this.#isOver || this.#book === undefined) return
    }
  }

  #quiet(): Promise<void> {
    return new Promise((resolve) => this.#group.time.after(QUIET_MS, resolve))
  }
}
