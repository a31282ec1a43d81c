import type { KeyValue, Transaction, TransactionResult } from '../../model/key-value.ts'
import { monotonicMs } from '../../platform/clock.ts'
import { HttpConnections, type HttpTls } from '../../platform/http-connections.ts'
import type { Logger } from '../../platform/log.ts'
import { after as realAfter, soon as realSoon } from '../../platform/timers.ts'
import { Fault } from '../../std/fault.ts'
import { KeyValueTree } from '../key-value-tree.ts'
import { PENDING_REQUESTS_MAX } from '../limits.ts'
import type { Store, StoreRead, StoreStatus, WatchListener } from '../store.ts'
import { Watchers } from '../watchers.ts'
import { ClusterIdentity, type SeenCluster } from './cluster-identity.ts'
import { ClusterPicture } from './cluster-picture.ts'
import { Endpoints, type Endpoint } from './endpoints.ts'
import { Gateway, type Credentials } from './gateway.ts'
import { KeySpace } from './key-space.ts'
import type { RangeAnswer, TxnAnswer } from './messages.ts'
import { Mirror } from './mirror.ts'
import { Pulse } from './pulse.ts'
import { Requests } from './requests.ts'
import { startTimeLimit, type TimeLimit, type Timing } from './time-limit.ts'
import { Visibility, type Sight } from './visibility.ts'
import { faultOfRead, faultOfTransaction, notVisible, overloaded, storeFull } from './store-faults.ts'

export type EtcdStore = Store & {
  /** What this node has seen of the cluster: given to the next start as `known`, it notices an etcd that was restored. */
  seen(): SeenCluster | undefined
}

/** Everything impure. What is left out is the real thing. */
export type EtcdStoreDeps = {
  readonly log: Logger
  /** Monotonic milliseconds. */
  readonly now?: () => number
  readonly after?: (ms: number, task: () => void) => () => void
  readonly soon?: (task: () => void) => void
}

export type EtcdStoreOptions = {
  /** `http://host:2379`; the first is asked first. */
  readonly endpoints: readonly string[]
  /** PEM texts for endpoints with `https`. */
  readonly tls?: HttpTls
  readonly credentials?: Credentials
  /** Put before every key on etcd, and taken off again: as if this part of etcd were a store of its own. */
  readonly namespace?: string
  /** The keys of this store, without the namespace. Only they are mirrored, watched and changed. */
  readonly prefix: string
  readonly known?: SeenCluster
  readonly timing?: Partial<EtcdTiming>
}

export type EtcdTiming = {
  /** Without a proof of the quorum for this long it is asked for. */
  readonly probeEveryMs: number
  /** What one endpoint gets to answer a read before the next one is asked. */
  readonly attemptMs: number
  readonly connectMs: number
  /** What the watch gets to bring a change that is committed, before it goes on at another endpoint. */
  readonly lagMs: number
}

/** For members a few milliseconds apart; a leader's election takes etcd one to two seconds by default. */
const LAN_TIMING: EtcdTiming = { probeEveryMs: 500, attemptMs: 500, connectMs: 300, lagMs: 300 }

/** What a read waits for the mirror at most: longer than a watch takes, shorter than anybody minds. */
const SIGHT_AFTER_READ_MS = 100

/** Takes part at once; `status().hasQuorum` tells when etcd has answered. etcd 3.4 or later. */
export function createEtcdStore(deps: EtcdStoreDeps, options: EtcdStoreOptions): EtcdStore {
  return new GatewayStore(deps, options)
}

class GatewayStore implements EtcdStore {
  readonly #log: Logger
  readonly #timing: Timing
  readonly #http: HttpConnections
  readonly #keys: KeySpace
  readonly #identity: ClusterIdentity
  readonly #requests: Requests
  readonly #mirror: Mirror
  readonly #pulse: Pulse
  readonly #picture: ClusterPicture
  readonly #visibility: Visibility
  readonly #watchers: Watchers
  readonly #tree = new KeyValueTree()
  readonly #statusListeners = new Set<() => void>()
  readonly #ended = new AbortController()
  #pending = 0
  #told = ''

  constructor(deps: EtcdStoreDeps, options: EtcdStoreOptions) {
    const { now = monotonicMs, after = realAfter, soon = realSoon, log } = deps
    const limits = { ...LAN_TIMING, ...options.timing }
    const timing = { now, after }
    this.#log = log
    this.#timing = timing
    this.#keys = new KeySpace({ namespace: options.namespace ?? '', prefix: options.prefix })
    this.#identity = new ClusterIdentity(options.known)
    this.#http = new HttpConnections({ connectMs: limits.connectMs, tls: options.tls })
    const gateway = new Gateway(this.#http, options.credentials)
    const endpoints = new Endpoints(options.endpoints, now)
    const identity = this.#identity
    this.#requests = new Requests({ gateway, endpoints, identity, timing, keys: this.#keys }, limits)
    this.#picture = new ClusterPicture(
      { gateway, timing, stopped: this.#ended.signal, onChange: () => this.#tellStatus() },
      limits,
    )
    this.#pulse = new Pulse(
      { probe: () => this.#probe(limits), onChange: () => this.#tellStatus(), timing },
      { everyMs: limits.probeEveryMs },
    )
    this.#mirror = new Mirror(
      {
        gateway,
        requests: this.#requests,
        endpoints,
        identity,
        timing,
        keys: this.#keys,
        tree: this.#tree,
        onChange: () => this.#changed(),
        onBroken: (reason) => this.#watchBroke(reason),
        onAnswer: (answer, endpoint) => this.#proved(answer, endpoint),
        onRestored: () => this.#condemn(),
      },
      limits,
    )
    this.#visibility = new Visibility(
      { tree: this.#tree, timing, onLag: () => this.#mirror.restart() },
      limits,
    )
    this.#watchers = new Watchers({
      tree: this.#tree,
      soon,
      onError: (error) => log.error('A watcher of the store failed', { error }),
    })
    this.#mirror.start()
    this.#pulse.start()
  }

  async read(prefix: string, options: { readonly deadlineMs: number }): Promise<StoreRead> {
    const action = `read "${prefix}"`
    this.#checkOpen(action)
    return this.#within(options.deadlineMs, async (limit) => {
      try {
        const { header, entries } = await this.#requests.read(prefix, limit)
        this.#pulse.proved()
        await this.#awaitSight(header.revision, this.#newestOf(prefix, entries), limit)
        return { revision: header.revision, entries: inOrder(entries) }
      } catch (error) {
        throw this.#explained(error, faultOfRead({ error, action, ...this.#circumstances(options) }))
      }
    })
  }

  peek(key: string): KeyValue | undefined {
    return this.#tree.get(key)
  }

  peekPrefix(prefix: string): readonly KeyValue[] {
    return this.#tree.list(prefix)
  }

  async transact(
    transaction: Transaction,
    options: { readonly deadlineMs: number },
  ): Promise<TransactionResult> {
    this.#keys.check(transaction)
    this.#checkOpen('commit the transaction')
    if (!this.#tree.hasRoomFor(transaction.operations)) throw storeFull()
    return this.#within(options.deadlineMs, async (limit) => {
      const answer = await this.#commit(transaction, limit, options)
      const { header, isChange, held, succeeded } = answer
      const sight = { revision: header.revision, ...(isChange ? {} : { held }) }
      if (await this.#visibility.waitFor(sight, limit)) return { succeeded, revision: header.revision }
      throw notVisible(options.deadlineMs, succeeded)
    })
  }

  watch(prefix: string, after: number, listener: WatchListener): () => void {
    return this.#watchers.add(prefix, after, listener)
  }

  status(): StoreStatus {
    const hasQuorum = this.#pulse.isUp && this.#mirror.isComplete && !this.#ended.signal.aborted
    const { leader, term, voters } = this.#picture
    const fault = this.#identity.fault
    return {
      backend: 'etcd',
      hasQuorum,
      ...(hasQuorum && leader !== undefined ? { leader } : {}),
      term,
      voters,
      appliedRevision: this.#tree.revision,
      ...(fault === undefined ? {} : { problem: { code: fault.code, message: fault.message } }),
    }
  }

  onStatusChange(listener: () => void): () => void {
    this.#statusListeners.add(listener)
    return () => {
      this.#statusListeners.delete(listener)
    }
  }

  seen(): SeenCluster | undefined {
    return this.#identity.seen
  }

  async stop(): Promise<void> {
    this.#end('the store was stopped')
    this.#watchers.clear()
    this.#statusListeners.clear()
  }

  async #commit(
    transaction: Transaction,
    limit: TimeLimit,
    options: { readonly deadlineMs: number },
  ): Promise<TxnAnswer> {
    try {
      const answer = await this.#requests.commit(transaction, limit)
      this.#pulse.proved()
      return answer
    } catch (error) {
      throw this.#explained(error, faultOfTransaction({ error, ...this.#circumstances(options) }))
    }
  }

  /** After a failure: the quorum is asked for, and an etcd that nobody may trust ends everything. */
  #explained(error: unknown, fault: Error): Error {
    if (this.#identity.fault !== undefined) this.#condemn()
    else if (!(error instanceof Fault)) this.#pulse.check()
    return fault
  }

  #circumstances({ deadlineMs }: { readonly deadlineMs: number }) {
    const hasQuorum = this.#pulse.isUp
    const ended = this.#ended.signal.aborted ? String(this.#ended.signal.reason.message) : undefined
    return { deadlineMs, hasQuorum, ended }
  }

  /** Not promised, and worth a short wait: who reads and then looks should not find something older. */
  async #awaitSight(revision: number, held: Sight['held'] & {}, outer: TimeLimit): Promise<void> {
    const ms = Math.min(outer.remaining(), SIGHT_AFTER_READ_MS)
    const limit = startTimeLimit(ms, this.#timing, outer.signal)
    await this.#visibility.waitFor({ revision, held }, limit)
    limit.clear()
  }

  async #within<T>(deadlineMs: number, task: (limit: TimeLimit) => Promise<T>): Promise<T> {
    if (this.#pending >= PENDING_REQUESTS_MAX) throw overloaded(this.#pending)
    const limit = startTimeLimit(deadlineMs, this.#timing, this.#ended.signal)
    this.#pending += 1
    try {
      return await task(limit)
    } finally {
      this.#pending -= 1
      limit.clear()
    }
  }

  #checkOpen(action: string): void {
    if (this.#identity.fault !== undefined) throw this.#identity.fault
    if (!this.#ended.signal.aborted) return
    const message = `Cannot ${action}: the store was stopped`
    throw new Fault('STORE_STOPPED', message, { details: { applied: false } })
  }

  /** What the mirror must show of a complete list: its newest entry, and nothing that the list no longer has. */
  #newestOf(prefix: string, entries: readonly KeyValue[]): Sight['held'] & {} {
    const own = entries.filter(({ key }) => this.#keys.isMirrored(key))
    const newest = own.toSorted((left, right) => right.modRevision - left.modRevision).slice(0, 1)
    const listed = new Set(entries.map(({ key }) => key))
    const gone = this.#tree.list(prefix).filter(({ key }) => !listed.has(key))
    return [...newest, ...gone.map(({ key }) => ({ key, modRevision: 0 }))]
  }

  async #probe({ attemptMs }: EtcdTiming): Promise<void> {
    const limit = startTimeLimit(3 * attemptMs, this.#timing, this.#ended.signal)
    try {
      const first = this.#mirror.endpoint
      const { answer, endpoint } = await this.#requests.probe(first, limit)
      this.#picture.seen(answer.header.term, endpoint)
      // The endpoint of the watch is stuck, or hears nobody: a silent watch there would be silent for ever.
      if (first !== undefined && endpoint !== first) this.#mirror.restart()
      const [newest] = answer.entries
      if (newest !== undefined && this.#mirror.isComplete) {
        await this.#visibility.waitFor({ revision: newest.modRevision }, limit)
      }
    } catch (error) {
      if (this.#identity.fault !== undefined) this.#condemn()
      throw error
    } finally {
      limit.clear()
    }
  }

  #proved(answer: RangeAnswer, endpoint: Endpoint): void {
    this.#pulse.proved()
    this.#picture.seen(answer.header.term, endpoint)
  }

  #changed(): void {
    this.#visibility.changed()
    this.#watchers.deliver()
    this.#tellStatus()
  }

  #watchBroke(reason: string): void {
    this.#log.warn('The watch on etcd broke and goes on elsewhere', { reason })
    this.#pulse.check()
  }

  #condemn(): void {
    const { fault } = this.#identity
    if (fault === undefined || this.#ended.signal.aborted) return
    this.#log.error('etcd is not the store that this node knew', { code: fault.code, reason: fault.message })
    this.#end(fault.message)
  }

  #end(reason: string): void {
    if (this.#ended.signal.aborted) return
    this.#ended.abort(new Error(reason))
    this.#mirror.stop()
    this.#pulse.stop()
    this.#http.close()
    this.#tellStatus()
  }

  /** Tells what is not only progress. */
  #tellStatus(): void {
    const { appliedRevision: _, ...shown } = this.status()
    const text = JSON.stringify(shown)
    if (text === this.#told) return
    this.#told = text
    for (const listener of this.#statusListeners) {
      try {
        listener()
      } catch (error) {
        this.#log.error('A listener to the state of the store failed', { error })
      }
    }
  }
}

/** etcd sorts by bytes, the store by code units. */
function inOrder(entries: readonly KeyValue[]): readonly KeyValue[] {
  return entries.toSorted((left, right) => (left.key < right.key ? -1 : 1))
}
