import { messageOf } from '../../std/fault.ts'
import type { KeyValueTree } from '../key-value-tree.ts'
import type { ClusterIdentity } from './cluster-identity.ts'
import type { Endpoint, Endpoints } from './endpoints.ts'
import type { Gateway } from './gateway.ts'
import type { KeySpace } from './key-space.ts'
import type { RangeAnswer, WatchMessage } from './messages.ts'
import type { Requests } from './requests.ts'
import { startTimeLimit, wait, type Timing } from './time-limit.ts'
import { followWatch } from './watch-stream.ts'

export type MirrorDeps = {
  readonly gateway: Gateway
  readonly requests: Requests
  readonly endpoints: Endpoints
  readonly identity: ClusterIdentity
  readonly timing: Timing
  readonly keys: KeySpace
  /** What is mirrored; others only look at it. */
  readonly tree: KeyValueTree
  /** The tree has changed, or it is complete for the first time. */
  readonly onChange: () => void
  /** A watch has broken: whoever knows more about the cluster should look. */
  readonly onBroken: (reason: string) => void
  /** A linearizable answer. */
  readonly onAnswer: (answer: RangeAnswer, endpoint: Endpoint) => void
  /** The cluster is not the one that we knew. */
  readonly onRestored: () => void
}

export type MirrorOptions = {
  /** For a list, and for a watch to begin. */
  readonly attemptMs: number
}

/** After an attempt at every endpoint, and after a watch that broke as soon as it had begun. */
const RETRY_MS = 100

/**
 * A copy of everything below the prefix, kept by one watch. It begins with a list at one revision and goes on with the watch
 * from the next one, so that there is no gap; when the watch breaks, it goes on at another endpoint from where the copy
 * stands. Only when etcd has compacted those events away does a list take the copy's place, and watchers are told.
 */
export class Mirror {
  readonly #deps: MirrorDeps
  readonly #options: MirrorOptions
  readonly #stopped = new AbortController()
  #isComplete = false
  #isCompacted = false
  #endpoint: Endpoint | undefined
  #abortWatch: AbortController | undefined

  constructor(deps: MirrorDeps, options: MirrorOptions) {
    this.#deps = deps
    this.#options = options
  }

  /** There was a first list: before it nothing here says anything. */
  get isComplete(): boolean {
    return this.#isComplete
  }

  /** Where the watch is, while there is one. */
  get endpoint(): Endpoint | undefined {
    return this.#endpoint
  }

  start(): void {
    void this.#run()
  }

  stop(): void {
    this.#stopped.abort(new Error('the store was stopped'))
  }

  /** The watch does not bring what it should: it goes on at another endpoint. */
  restart(): void {
    if (this.#endpoint !== undefined) this.#deps.endpoints.failed(this.#endpoint)
    this.#abortWatch?.abort(new Error('the watch lags'))
  }

  async #run(): Promise<void> {
    const { endpoints, timing, identity } = this.#deps
    while (!this.#stopped.signal.aborted) {
      const [endpoint] = endpoints.order()
      if (endpoint === undefined) return
      let wasOpen = false
      let reason = ''
      try {
        await this.#list(endpoint)
        this.#endpoint = endpoint
        const end = await this.#follow(endpoint, () => {
          wasOpen = true
        })
        this.#isCompacted = end.kind === 'compacted'
        if (end.kind === 'broken') reason = end.reason
      } catch (error) {
        reason = messageOf(error)
      }
      this.#endpoint = undefined
      if (identity.fault !== undefined) return this.#deps.onRestored()
      if (this.#stopped.signal.aborted) return
      if (reason !== '') {
        endpoints.failed(endpoint)
        this.#deps.onBroken(reason)
      }
      // A watch that was open breaks for a reason of its own: the next endpoint is asked at once.
      if (!wasOpen && !this.#isCompacted) await wait(RETRY_MS, timing, this.#stopped.signal)
    }
  }

  async #list(endpoint: Endpoint): Promise<void> {
    const { requests, identity, tree, timing } = this.#deps
    const limit = startTimeLimit(this.#options.attemptMs, timing, this.#stopped.signal)
    try {
      const answer = await requests.listAt(endpoint, limit.signal)
      if (this.#isComplete) identity.compare(answer.entries, tree)
      if (!this.#isComplete || this.#isCompacted) this.#replace(answer)
      this.#deps.onAnswer(answer, endpoint)
    } finally {
      limit.clear()
    }
  }

  #replace({ header: { revision }, entries }: RangeAnswer): void {
    this.#deps.tree.restore({ revision, compacted: revision, entries, history: [] })
    this.#isComplete = true
    this.#isCompacted = false
    this.#deps.onChange()
  }

  async #follow(endpoint: Endpoint, onOpen: () => void): ReturnType<typeof followWatch> {
    const { gateway, tree, timing, keys } = this.#deps
    const abort = new AbortController()
    this.#abortWatch = abort
    // The answer to a watch comes at once or not at all; afterwards silence is what it should be.
    const cancelOpening = timing.after(this.#options.attemptMs, () =>
      abort.abort(new Error('no watch came about in time')),
    )
    try {
      return await followWatch(gateway, {
        endpoint,
        prefix: keys.mirrored,
        startRevision: tree.revision + 1,
        signal: AbortSignal.any([abort.signal, this.#stopped.signal]),
        onMessage: (message) => {
          cancelOpening()
          onOpen()
          this.#take(message)
        },
      })
    } finally {
      cancelOpening()
    }
  }

  #take(message: Extract<WatchMessage, { kind: 'created' | 'events' }>): void {
    const { tree, keys } = this.#deps
    if (message.kind === 'created' || message.revision <= tree.revision) return
    tree.follow(
      message.events.map((event) => keys.inwardEvent(event)),
      message.revision,
    )
    this.#deps.onChange()
  }
}
