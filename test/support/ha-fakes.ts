import type { ObserverDeps } from '../../src/ha/observe/observer.ts'
import type {
  Clock,
  CommitTry,
  Guard,
  Knocker,
  LocalInstance,
  Notebook,
  Peers,
  Store,
} from '../../src/ha/ports.ts'
import type { PeerFacts } from '../../src/ha/snapshot.ts'
import type { Pledge } from '../../src/model/ack-rule.ts'
import type { KeyValue, Transaction, TransactionResult } from '../../src/model/key-value.ts'
import type { InstanceFacts } from '../../src/model/member.ts'
import type { MonotonicMs } from '../../src/model/time.ts'
import type { WatchdogFacts } from '../../src/model/watchdog.ts'
import { createMemoryStore, createMemoryTree, type MemoryStore } from '../../src/store/memory/memory-store.ts'
import { Fault } from '../../src/std/fault.ts'

/** Lets everything that needs no clock happen: promises, and the memory store's turns. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 30; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve))
}

/** Time that moves only when a test says so. */
export class VirtualClock implements Clock {
  #now: number
  #timers: { at: number; task: () => void }[] = []

  constructor(now = 1_000_000) {
    this.#now = now
  }

  readonly monotonic = (): MonotonicMs => this.#now as MonotonicMs
  readonly wall = (): number => 1_790_000_000_000 + this.#now

  readonly after = (ms: number, task: () => void): (() => void) => {
    const timer = { at: this.#now + ms, task }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer)
    }
  }

  /** Runs every timer that falls due, in order, and lets its consequences happen before the next. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms
    for (;;) {
      await settle()
      const next = this.#timers.filter(({ at }) => at <= until).toSorted((one, other) => one.at - other.at)[0]
      if (!next) break
      this.#timers = this.#timers.filter((one) => one !== next)
      this.#now = Math.max(this.#now, next.at)
      next.task()
    }
    this.#now = until
    await settle()
  }

  /** The process stood still for so long: whatever fell due runs now, late. */
  async leap(ms: number): Promise<void> {
    this.#now += ms
    await this.advance(0)
  }
}

type Interference = (
  transaction: Transaction,
  commit: () => Promise<TransactionResult>,
) => Promise<TransactionResult>

/** The memory store, with a hand between the caller and its transactions. */
export class MeddledStore implements Store {
  readonly inner: MemoryStore
  readonly transactions: Transaction[] = []
  meddle: Interference | undefined

  constructor(members: readonly string[] = ['n1', 'n2', 'n3'], tree = createMemoryTree(members)) {
    this.inner = createMemoryStore(tree, { self: 'n1' })
  }

  transact(transaction: Transaction, options: { deadlineMs: number }): Promise<TransactionResult> {
    this.transactions.push(transaction)
    const commit = () => this.inner.transact(transaction, options)
    return this.meddle ? this.meddle(transaction, commit) : commit()
  }

  /** Puts a value as another member would. */
  async put(key: string, value: unknown): Promise<void> {
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    await this.inner.transact(
      { compares: [], operations: [{ kind: 'put', key, value: text }] },
      { deadlineMs: 1000 },
    )
  }

  readonly read: Store['read'] = (prefix, options) => this.inner.read(prefix, options)
  readonly peek = (key: string): KeyValue | undefined => this.inner.peek(key)
  readonly peekPrefix: Store['peekPrefix'] = (prefix) => this.inner.peekPrefix(prefix)
  readonly watch: Store['watch'] = (prefix, after, listener) => this.inner.watch(prefix, after, listener)
  readonly status: Store['status'] = () => this.inner.status()
  readonly onStatusChange: Store['onStatusChange'] = (listener) => this.inner.onStatusChange(listener)
}

/** A PostgreSQL that does at once what it is told, and writes down what that was. */
export class FakeInstance implements LocalInstance {
  readonly done: string[] = []
  directory: Awaited<ReturnType<LocalInstance['inspect']>> = {
    directory: 'instance',
    incarnation: 'disk-n1',
    systemId: '42',
    timeline: 1,
  }
  now: InstanceFacts = { state: 'stopped', systemId: '42' }
  wal = { timeline: 1, endLsn: '0/5000' }
  origin: Awaited<ReturnType<LocalInstance['timelineOrigin']>> = { timeline: 1, forks: [] }
  upstream: { host: string; port: number } | undefined
  how: 'clean' | 'unclean' = 'clean'
  names = ''
  setAside = 0
  applications = { connected: 0, busy: 0 }
  /** Called before each deed is done: a test throws, waits, or changes the world here. */
  before: (deed: string) => void | Promise<void> = () => undefined
  /** … and after it. */
  afterwards: (deed: string) => void | Promise<void> = () => undefined
  readonly #crash = new Set<() => void>()

  async #do(deed: string, effect: () => void = () => undefined): Promise<void> {
    this.done.push(deed)
    await this.before(deed)
    effect()
    await this.afterwards(deed)
  }

  async inspect(): ReturnType<LocalInstance['inspect']> {
    await this.before('inspect')
    return this.directory
  }

  facts(): Promise<InstanceFacts> {
    return Promise.resolve(this.now)
  }

  async initialise(before: (incarnation: string) => Promise<void>): Promise<void> {
    await before('disk-n1')
    await this.#do('initialise', () => {
      this.directory = { directory: 'instance', incarnation: 'disk-n1', systemId: '42', timeline: 1 }
    })
  }

  start(as: 'primary' | 'standby', follow?: { host: string; port: number }): Promise<void> {
    return this.#do(`start ${as}`, () => {
      this.now = running(as)
      this.upstream = as === 'standby' ? follow : undefined
    })
  }

  promote(timeline: number): Promise<void> {
    return this.#do(`promote to ${timeline}`, () => {
      this.now = running('primary')
    })
  }

  timelineOrigin(): ReturnType<LocalInstance['timelineOrigin']> {
    return Promise.resolve(this.origin)
  }

  probeWrite(until: 'flushed' | 'acknowledged'): Promise<void> {
    return this.#do(until === 'flushed' ? 'probe' : 'probe acknowledged')
  }

  /** What tries of its write path come to; a test leaves them out for as long as it likes. */
  commit: () => Promise<CommitTry> = () => Promise.resolve('committed')
  sync: () => Promise<void> = () => Promise.resolve()
  room = 1024 * 1024 * 1024

  tryCommit({ anew }: { anew: boolean }): Promise<CommitTry> {
    this.done.push(anew ? 'try commit anew' : 'try commit')
    return this.commit()
  }

  syncDisk(): Promise<void> {
    this.done.push('sync disk')
    return this.sync()
  }

  roomBytes(): Promise<number> {
    return Promise.resolve(this.room)
  }

  async stopReceiving(): Promise<{ timeline: number; flushLsn: string }> {
    await this.#do('stop receiving', () => {
      this.upstream = undefined
    })
    return { timeline: this.now.timeline ?? 1, flushLsn: this.now.flushLsn ?? this.wal.endLsn }
  }

  setSynchronousNames(names: string): Promise<void> {
    // What changes nothing is nothing that was done.
    if (names === this.names) return Promise.resolve()
    return this.#do(`commits wait for ${names === '' ? 'nobody' : names}`, () => {
      this.names = names
    })
  }

  restartWalSenders(pids: readonly number[]): Promise<void> {
    return this.#do(`restart senders ${pids.join(',')}`)
  }

  follow(upstream: { host: string; port: number }): Promise<void> {
    return this.#do(`follow ${upstream.host}`, () => {
      this.upstream = upstream
    })
  }

  following(): { host: string; port: number } | undefined {
    return this.upstream
  }

  checkpoint(): Promise<void> {
    return this.#do('checkpoint')
  }

  async clients(): Promise<{ connected: number; busy: number }> {
    await this.before('clients')
    return this.applications
  }

  async stop(): Promise<'clean' | 'unclean'> {
    await this.#do('stop', () => {
      this.now = { state: 'stopped', systemId: '42' }
    })
    return this.how
  }

  kill(): Promise<void> {
    return this.#do('kill', () => {
      this.now = { state: 'crashed', systemId: '42' }
    })
  }

  async endOfWal(): Promise<{ timeline: number; endLsn: string }> {
    await this.before('endOfWal')
    return this.wal
  }

  judgeParameters(): Promise<readonly { readonly name: string; readonly rule: string }[]> {
    return Promise.resolve([])
  }

  configure(parameters: Readonly<Record<string, string>>): Promise<void> {
    return this.#do(`configure ${JSON.stringify(parameters)}`)
  }

  ensureSlots(members: readonly string[]): Promise<void> {
    return this.#do(`slots ${members.join(',')}`)
  }

  clone(from: { host: string; port: number }): Promise<void> {
    return this.#do(`clone ${from.host}`)
  }

  rewind(from: { host: string; port: number }): Promise<void> {
    return this.#do(`rewind from ${from.host}`)
  }

  async keepDiverged(divergence: { timeline: number; forkLsn: string; epoch: number }) {
    await this.#do('keepDiverged')
    return {
      ...divergence,
      member: 'n1',
      endLsn: '0/6000',
      bytes: 1,
      transactions: 0,
      xids: [],
      keptIn: '/kept',
      foundAt: '2026-01-01T00:00:00Z',
    }
  }

  countSetAside(): Promise<number> {
    return Promise.resolve(this.setAside)
  }

  removeSetAside(): Promise<void> {
    return this.#do('removeSetAside')
  }

  onCrash(listener: () => void): () => void {
    this.#crash.add(listener)
    return () => this.#crash.delete(listener)
  }

  crash(): void {
    this.now = { state: 'crashed', systemId: '42' }
    for (const listener of this.#crash) listener()
  }
}

export function running(role: 'primary' | 'standby', more: Partial<InstanceFacts> = {}): InstanceFacts {
  return {
    state: 'running',
    role,
    systemId: '42',
    timeline: 1,
    flushLsn: '0/5000',
    replayLsn: '0/5000',
    ...more,
  }
}

/** A guard that holds what it is told at once, unless it is absent. */
export class FakeGuard implements Guard {
  until: MonotonicMs | undefined
  isAbsent = false
  watched: WatchdogFacts | undefined
  readonly log: string[]

  constructor(log: string[] = []) {
    this.log = log
  }

  state(): 'armed' | 'idle' | 'absent' {
    if (this.isAbsent) return 'absent'
    return this.until === undefined ? 'idle' : 'armed'
  }

  watchdog(): WatchdogFacts | undefined {
    return this.watched
  }

  isUnfenced(): boolean {
    return this.isAbsent && this.watched?.state !== 'armed'
  }

  arm(until: MonotonicMs): void {
    this.until = until
  }

  armAndConfirm(until: MonotonicMs): Promise<void> {
    if (this.isAbsent) return Promise.reject(new Fault('GUARD_ABSENT', 'Cannot arm the guard'))
    this.until = until
    this.log.push('guard armed')
    return Promise.resolve()
  }

  disarmAndConfirm(): Promise<void> {
    if (this.isAbsent) return Promise.reject(new Fault('GUARD_ABSENT', 'Cannot disarm the guard'))
    this.until = undefined
    this.log.push('guard disarmed')
    return Promise.resolve()
  }
}

/** Says nothing of the write path. */
export const untriedPath: ObserverDeps['writePath'] = {
  facts: { state: 'unknown' },
  stalledSince: undefined,
  untilStalled: () => ({ stalled: new Promise(() => undefined), cancel: () => undefined }),
}

export const silentKnocker: Knocker = { knock: () => Promise.resolve('silent') }

export class FakePeers implements Peers {
  list: readonly PeerFacts[] = []
  readonly facts = (): readonly PeerFacts[] => this.list
  readonly onChange = (): (() => void) => () => undefined
}

export class FakeNotebook implements Notebook {
  promotion: { epoch: number; incarnation: string } | undefined
  readonly log: string[]

  constructor(log: string[] = []) {
    this.log = log
  }

  promotedIn(): { epoch: number; incarnation: string } | undefined {
    return this.promotion
  }

  pledged: Pledge | undefined
  guardReleased = false

  noted: Readonly<Record<string, string>> = {}

  parameters(): Readonly<Record<string, string>> {
    return this.noted
  }

  writeParameters(parameters: Readonly<Record<string, string>>): Promise<void> {
    this.noted = parameters
    return Promise.resolve()
  }

  isGuardReleased(): boolean {
    return this.guardReleased
  }

  writeGuardReleased(isReleased: boolean): Promise<void> {
    this.guardReleased = isReleased
    this.log.push(isReleased ? 'guard noted as released' : 'guard noted as armed')
    return Promise.resolve()
  }

  pledge(): Pledge | undefined {
    return this.pledged
  }

  writePledge(pledge: Pledge): Promise<void> {
    this.pledged = pledge
    this.log.push(`pledge to epoch ${pledge.epoch} noted`)
    return Promise.resolve()
  }

  writePromotion(promotion: { epoch: number; incarnation: string } | undefined): Promise<void> {
    this.promotion = promotion
    this.log.push(promotion ? `promotion of epoch ${promotion.epoch} noted` : 'promotion forgotten')
    return Promise.resolve()
  }
}
