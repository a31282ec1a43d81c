import { silentLogger } from '../../src/platform/log.ts'
import { decodeMessage, encodeMessage } from '../../src/raft/message-codec.ts'
import { neededVersion, OLDEST_VERSION, PROTOCOL_VERSION } from '../../src/raft/protocol.ts'
import { createRaftStore, type RaftStore, type RaftStoreSizes } from '../../src/store/raft/raft-store.ts'
import { foundRaftGroup, joinRaftGroup, type MemberIdentity } from '../../src/store/raft/storage.ts'
import { RandomStream } from '../sim/random-stream.ts'
import { VirtualTime } from '../sim/virtual-time.ts'
import { createMemoryDisk, type MemoryDisk } from './memory-disk.ts'

const log = silentLogger()

/** Incarnation of the members that a group begins with. */
const FIRST = '0'

type Listener = (peer: string, message: Uint8Array) => void

export type VirtualMember = {
  readonly name: string
  readonly incarnation: string
  readonly disk: MemoryDisk
  /** Absent while it is down. */
  store: RaftStore | undefined
  life: number
  readonly fatal: unknown[]
  /** Protocol version of its program. */
  release: number
}

export type VirtualNetwork = { loss: number; duplicates: number; delayMs: number }

/** Members of a group: the real store with its real log format, on a virtual clock, network and disk. */
export class VirtualGroup {
  readonly time = new VirtualTime()
  readonly members = new Map<string, VirtualMember>()
  readonly network: VirtualNetwork = { loss: 0, duplicates: 0, delayMs: 0.2 }
  readonly blocked = new Set<string>()
  readonly #chance: RandomStream
  readonly #listeners = new Map<string, Set<Listener>>()
  readonly #sent = new Map<string, number>()
  #nonces = 0
  readonly #options: { readonly sizes?: RaftStoreSizes }

  constructor(names: readonly string[], seed = 1, options: { readonly sizes?: RaftStoreSizes } = {}) {
    this.#options = options
    this.#chance = new RandomStream(seed, 'virtual group')
    for (const name of names) {
      const disk = createMemoryDisk()
      foundRaftGroup('/r', { groupId: 'g', voters: firstIdentities(names) }, disk)
      this.members.set(name, {
        name,
        incarnation: FIRST,
        disk,
        store: undefined,
        life: 0,
        fatal: [],
        release: PROTOCOL_VERSION,
      })
      this.start(name)
    }
  }

  /** A new member on an empty disk; under a name that is known, one whose disk was replaced. */
  join(name: string, incarnation: string): RaftStore {
    const known = this.members.get(name)
    if (known?.store !== undefined) this.kill(name)
    const disk = createMemoryDisk()
    joinRaftGroup('/r', { groupId: 'g', self: name, incarnation }, disk)
    const life = known?.life ?? 0
    const fatal = known?.fatal ?? []
    this.members.set(name, {
      name,
      incarnation,
      disk,
      store: undefined,
      life,
      fatal,
      release: PROTOCOL_VERSION,
    })
    return this.start(name)
  }

  member(name: string): VirtualMember {
    const member = this.members.get(name)
    if (member === undefined) throw new Error(`No member "${name}"`)
    return member
  }

  /** This very member runs: not another one under its name. */
  isUpAs(name: string, incarnation: string): boolean {
    const member = this.members.get(name)
    return member?.store !== undefined && member.incarnation === incarnation
  }

  store(name: string): RaftStore {
    const { store } = this.member(name)
    if (store === undefined) throw new Error(`"${name}" is down`)
    return store
  }

  start(name: string): RaftStore {
    const member = this.member(name)
    member.life += 1
    const { life } = member
    const isAlive = (): boolean => member.life === life
    const whileAlive = (task: () => void) => (): void => {
      if (isAlive()) task()
    }
    const deps = {
      transport: {
        send: (peer: string, message: Uint8Array) => this.#send(name, peer, message),
        onMessage: (listener: Listener) => {
          this.#listeners.set(name, new Set([listener]))
          return () => void this.#listeners.get(name)?.delete(listener)
        },
      },
      log,
      onFatal: (thrown: unknown) => void member.fatal.push(thrown),
      now: () => this.time.now,
      after: (ms: number, task: () => void) => this.time.after(ms, whileAlive(task)),
      soon: (task: () => void) => void this.time.after(0.01, whileAlive(task)),
      disk: member.disk,
      seed: this.#chance.below(2 ** 31),
      newNonce: () => {
        this.#nonces += 1
        return `nonce${this.#nonces}`
      },
    }
    member.store = createRaftStore(deps, { self: name, folder: '/r', ...this.#options })
    return member.store
  }

  /** As kill -9, or with `power: true` as a power loss, which takes what was not synced. */
  kill(name: string, options: { readonly power: boolean } = { power: false }): void {
    const member = this.member(name)
    member.life += 1
    member.store = undefined
    this.#listeners.delete(name)
    if (options.power) member.disk.crash(this.#chance.below(40))
  }

  /** Runs until a promise is settled; fails after `limitMs` of virtual time. */
  async until<T>(promise: Promise<T>, limitMs = 60_000): Promise<T> {
    let isSettled = false
    const note = (): void => {
      isSettled = true
    }
    promise.then(note, note)
    await this.#run(() => isSettled, limitMs)
    return promise
  }

  /** Runs until `look` finds something and returns the virtual time that it took. */
  async untilSeen(look: () => boolean, limitMs = 60_000): Promise<number> {
    const start = this.time.now
    await this.#run(look, limitMs)
    return this.time.now - start
  }

  async pass(ms: number): Promise<void> {
    const end = this.time.now + ms
    while (this.time.step(end)) await settleMicrotasks()
  }

  async leader(): Promise<string> {
    let found: string | undefined
    await this.untilSeen(() => {
      const seen = new Set(
        [...this.members.values()].flatMap(({ store }) => (store ? [store.status().leader] : [])),
      )
      found = seen.size === 1 ? [...seen][0] : undefined
      return found !== undefined
    })
    return found ?? ''
  }

  async #run(isOver: () => boolean, limitMs: number): Promise<void> {
    const end = this.time.now + limitMs
    await settleMicrotasks()
    while (!isOver()) {
      if (!this.time.step(end)) throw new Error(`Not seen within ${limitMs} ms of virtual time`)
      await settleMicrotasks()
    }
  }

  /** Bytes that `to` gets as if `from` had sent them. */
  inject(from: string, to: string, bytes: Uint8Array): void {
    for (const listener of this.#listeners.get(to) ?? []) listener(from, bytes)
  }

  /** Messages that a member has sent. */
  sent(name: string): number {
    return this.#sent.get(name) ?? 0
  }

  #send(from: string, to: string, message: Uint8Array): void {
    this.#sent.set(from, this.sent(from) + 1)
    const bytes = this.#asSaidBy(from, message)
    const copies = this.#chance.chance(this.network.duplicates) ? 2 : 1
    for (let copy = 0; copy < copies; copy += 1) {
      if (this.#chance.chance(this.network.loss)) continue
      this.time.after(this.#chance.exponential(this.network.delayMs), () => {
        if (this.blocked.has(`${from}>${to}`)) return
        const arriving = this.#asHeardBy(to, bytes)
        for (const listener of this.#listeners.get(to) ?? []) listener(from, arriving)
      })
    }
  }

  /** What a program says and hears: the release before names no version, and takes everybody for one of its own. */
  #asSaidBy(name: string, bytes: Uint8Array): Uint8Array {
    return this.members.get(name)?.release === OLDEST_VERSION ? asOldest(bytes) : bytes.slice()
  }

  #asHeardBy(name: string, bytes: Uint8Array): Uint8Array {
    return this.members.get(name)?.release === OLDEST_VERSION ? asOldest(bytes) : bytes
  }
}

/** Members in the first life of their disks. */
function firstIdentities(names: readonly string[]): readonly MemberIdentity[] {
  return names.map((name) => ({ name, incarnation: FIRST }))
}

function asOldest(bytes: Uint8Array): Uint8Array {
  const decoded = decodeMessage(bytes)
  if (decoded.kind === 'refused') throw new Error(`Not readable: ${decoded.reason}`)
  const { message } = decoded.envelope
  if (neededVersion(message) > OLDEST_VERSION) {
    throw new Error(`"${message.kind}" was sent to a program that does not know it`)
  }
  return encodeMessage(decoded.envelope, OLDEST_VERSION)
}

/** Promises are a hidden scheduler: all that can run does so before the next event. */
async function settleMicrotasks(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve()
}
