import { messageOf } from '../std/fault.ts'
import type { CancelOrder } from '../model/cancel-order.ts'
import type { PortTotals } from '../model/cluster-view.ts'
import type { StatementLatency } from '../model/statement-latency.ts'
import type { RoutingTableMessage } from '../model/routing-table.ts'
import { chmodSync, rmSync } from '../platform/disk.ts'
import type { Logger } from '../platform/log.ts'
import { monotonicMs } from '../platform/clock.ts'
import { createServer, type Server, type Socket } from '../platform/net.ts'
import { after, every } from '../platform/timers.ts'
import type { PoolOptions } from '../proxy/pool/pool-options.ts'
import type { ReloadNews, RestartOrder } from '../proxy/router/agent-link.ts'
import { RouterTotals } from './router-totals.ts'
import { TableNews } from './table-news.ts'

/** How often it is looked whether the router should hear of something that no event announced. */
const LOOK_MS = 200
/** A router that dies again and again is started again and again, but not faster. */
const SUPERVISE_MS = 2000
/** A router whose connection broke, but which lives, comes back within this. */
const RECONNECT_GRACE_MS = 300
const BACKLOG_MAX_BYTES = 64 * 1024
/** Longer than a router waits for the next one. */
const RESTART_WITHIN_MS = 25_000
/** As long as PostgreSQL may take for one, and a little. */
const CANCEL_WITHIN_MS = 5500
const CANCELS_MAX = 64
const FOUND = {
  router: 'Router found',
  worker: "Router's worker found",
  retiring: 'A router that ends behind its clients',
} as const

export type RouterLinkDeps = {
  readonly log: Logger
  readonly table: () => RoutingTableMessage
  /** Whom the router may ask while this agent is gone. */
  readonly members: () => readonly { readonly name: string; readonly apiUrl: string }[]
  /** The settings of the pooled port, as they are by now; may hold secrets. */
  readonly settings: () => PoolOptions
  /** Reads the configuration again, for the router's console. */
  readonly reload: () => Promise<ReloadNews>
  readonly startRouter: () => void
  /** Has the other nodes look for a key that the router does not know. */
  readonly cancelElsewhere: (order: CancelOrder) => Promise<void>
}

/** `retiring`: another router has its ports, and it still has clients. */
type Peer = { readonly role: 'router' | 'worker' | 'retiring'; readonly pid: number }

export type RestartOutcome =
  | { readonly kind: 'restarted'; readonly router: number; readonly retiring: number }
  | { readonly kind: 'refused'; readonly reason: 'NO_ROUTER' | 'BUSY' | 'FAILED' | 'SILENT' }

/** The agent's end of its router: pushes tables over a Unix socket, takes counters, starts a router when none comes. */
export class RouterLink {
  readonly #deps: RouterLinkDeps
  readonly #socketPath: string
  readonly #server: Server
  /** Routers and their workers. Tables go to all, orders to routers alone, which tell their workers. */
  readonly #peers = new Map<Socket, Peer>()
  readonly #totals = new RouterTotals()
  readonly #news = new TableNews()
  #cancels: (() => void)[] = []
  #restarting: { readonly old: Socket; readonly done: (outcome: RestartOutcome) => void } | undefined
  readonly #cancelling = new Map<number, (isKnown: boolean) => void>()
  #lastCancel = 0
  #isStopped = false
  #membersTold = ''

  constructor(deps: RouterLinkDeps, socketPath: string) {
    this.#deps = deps
    this.#socketPath = socketPath
    this.#server = createServer((socket) => this.#serve(socket))
  }

  get pid(): number | undefined {
    return this.#peersOf('router').at(-1)?.peer.pid
  }

  get totals(): readonly PortTotals[] {
    return this.#totals.sum
  }

  get latencies(): readonly StatementLatency[] {
    return this.#totals.latencies
  }

  /** `graceMs`: how long a router of an earlier life may take to come back before a new one is started. */
  async start(graceMs: number): Promise<void> {
    rmSync(this.#socketPath, { force: true })
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(this.#socketPath, resolve)
    })
    // A table names hosts and epochs only, but who feeds this socket steers every client.
    chmodSync(this.#socketPath, 0o600)
    this.#cancels.push(every(LOOK_MS, () => this.push()))
    this.#cancels.push(
      after(graceMs, () => this.#startIfGone()),
      every(SUPERVISE_MS, () => this.#startIfGone()),
    )
  }

  /** Sends the newest table to the router now, if it says more than the last one. */
  push(): void {
    if (this.#peers.size === 0) return
    const members = this.#membersLine()
    const news = members === this.#membersTold ? '' : members
    const table = this.#deps.table()
    if (!this.#news.take(table, monotonicMs()) && news === '') return
    const line = `${news}${JSON.stringify(table)}\n`
    // A router that does not read needs none of the tables that wait: the next one says all. Members are said until heard.
    const ready = [...this.#peers.keys()].filter((router) => router.writableLength < BACKLOG_MAX_BYTES)
    for (const router of ready) router.write(line)
    if (ready.length === this.#peers.size) this.#membersTold = members
  }

  /** Has the router read its files again, and take the settings that may change meanwhile. */
  reload(): void {
    for (const { socket } of this.#peersOf('router', 'retiring'))
      socket.write(`${JSON.stringify({ kind: 'reload', pool: this.#deps.settings() })}\n`)
  }

  /** Has another router take the place of the one that runs: it gets the ports, and the old one ends behind its clients. */
  async restart(order: RestartOrder): Promise<RestartOutcome> {
    const [old, ...others] = this.#peersOf('router')
    if (!old) return { kind: 'refused', reason: 'NO_ROUTER' }
    if (others.length > 0 || this.#restarting) return { kind: 'refused', reason: 'BUSY' }
    const outcome = new Promise<RestartOutcome>((resolve) => {
      const stopTimer = after(RESTART_WITHIN_MS, () => this.#restarted({ kind: 'refused', reason: 'SILENT' }))
      const done = (given: RestartOutcome): void => {
        stopTimer()
        resolve(given)
      }
      this.#restarting = { old: old.socket, done }
    })
    old.socket.write(`${JSON.stringify({ kind: 'restart', ...order })}\n`)
    return outcome
  }

  /** Has the routers of this node look for a key that another node's does not know; whether one knew it. */
  async cancel(order: CancelOrder): Promise<boolean> {
    const asked = this.#peersOf('router', 'retiring').map(({ socket }) => this.#askForCancel(socket, order))
    const answers = await Promise.all(asked)
    return answers.includes(true)
  }

  #askForCancel(socket: Socket, order: CancelOrder): Promise<boolean> {
    if (this.#cancelling.size >= CANCELS_MAX) return Promise.resolve(false)
    this.#lastCancel += 1
    const id = this.#lastCancel
    return new Promise((resolve) => {
      const done = (isKnown: boolean): void => {
        stopTimer()
        this.#cancelling.delete(id)
        resolve(isKnown)
      }
      const stopTimer = after(CANCEL_WITHIN_MS, () => done(false))
      this.#cancelling.set(id, done)
      socket.write(`${JSON.stringify({ kind: 'cancel', id, ...order })}\n`)
    })
  }

  /** Leaves the router running. */
  detach(): void {
    this.#isStopped = true
    for (const cancel of this.#cancels) cancel()
    for (const peer of this.#peers.keys()) peer.destroy()
    // An agent that was started twice ends here too, before it listens: what lies there is then the other one's.
    if (!this.#server.listening) return
    this.#server.close()
    rmSync(this.#socketPath, { force: true })
  }

  /** Ends the router, its clients included. */
  async stop(): Promise<void> {
    this.#isStopped = true
    const routers = this.#peersOf('router', 'retiring').map(({ socket }) => socket)
    const closed = routers.map(
      (router) => new Promise<void>((resolve) => router.once('close', () => resolve())),
    )
    for (const router of routers) router.write(`${JSON.stringify({ kind: 'stop' })}\n`)
    await Promise.race([Promise.all(closed), new Promise<void>((resolve) => after(2000, resolve))])
    this.detach()
  }

  /** The next router and the end of the old one's part may be heard of in either order. */
  #lookAtRestart(): void {
    const old = this.#restarting && this.#peers.get(this.#restarting.old)
    if (old?.role !== 'retiring' || this.pid === undefined) return
    this.#restarted({ kind: 'restarted', router: this.pid, retiring: old.pid })
  }

  #restarted(outcome: RestartOutcome): void {
    const { done } = this.#restarting ?? {}
    this.#restarting = undefined
    done?.(outcome)
  }

  #peersOf(...roles: readonly Peer['role'][]): readonly { readonly socket: Socket; readonly peer: Peer }[] {
    return [...this.#peers]
      .map(([socket, peer]) => ({ socket, peer }))
      .filter(({ peer }) => roles.includes(peer.role))
  }

  /** Unless it has come back meanwhile. */
  #countEnded({ pid }: Peer): void {
    if (![...this.#peers.values()].some((peer) => peer.pid === pid)) this.#totals.ended(pid)
  }

  #membersLine(): string {
    return `${JSON.stringify({ kind: 'members', members: this.#deps.members() })}\n`
  }

  #startIfGone(): void {
    if (!this.#isStopped && this.#peersOf('router').length === 0) this.#deps.startRouter()
  }

  #serve(socket: Socket): void {
    let rest = ''
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) this.#hear(socket, line)
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      const peer = this.#peers.get(socket)
      if (!peer || !this.#peers.delete(socket)) return
      after(RECONNECT_GRACE_MS, () => this.#countEnded(peer))
      if (peer.role !== 'router' || this.#peersOf('router').length > 0 || this.#isStopped) return
      this.#restarted({ kind: 'refused', reason: 'FAILED' })
      this.#deps.log.warn('The router is gone: it is started again')
      after(RECONNECT_GRACE_MS, () => this.#startIfGone())
    })
  }

  #hear(socket: Socket, line: string): void {
    try {
      const message = JSON.parse(line) as
        | Peer
        | { kind: 'totals'; totals: readonly PortTotals[]; latencies?: readonly StatementLatency[] }
        | { kind: 'restart-failed' }
        | ({ kind: 'cancel'; id: number } & CancelOrder)
        | { kind: 'cancelled'; id: number; isKnown: boolean }
        | { kind: 'reload'; id: number }
      if ('role' in message) {
        const { role, pid } = message
        this.#peers.set(socket, { role, pid })
        this.#deps.log.info(FOUND[role], { [role === 'worker' ? 'worker' : 'router']: pid })
        this.#lookAtRestart()
        // One that outlived its agent has the settings of that time; workers hear of them from their router.
        const settings = JSON.stringify({ kind: 'settings', pool: this.#deps.settings() })
        if (role !== 'worker') socket.write(`${settings}\n`)
        socket.write(`${this.#membersLine()}${JSON.stringify(this.#deps.table())}\n`)
      } else if (message.kind === 'restart-failed') {
        this.#restarted({ kind: 'refused', reason: 'FAILED' })
      } else if (message.kind === 'cancel') {
        const { id, processId, secret } = message
        void this.#deps
          .cancelElsewhere({ processId, secret })
          .then(() => void socket.write(`${JSON.stringify({ kind: 'cancelled', id })}\n`))
      } else if (message.kind === 'reload') {
        const { id } = message
        void this.#deps
          .reload()
          .then((news) => void socket.write(`${JSON.stringify({ kind: 'reloaded', id, ...news })}\n`))
      } else if (message.kind === 'cancelled') {
        this.#cancelling.get(message.id)?.(message.isKnown)
      } else {
        const pid = this.#peers.get(socket)?.pid
        if (pid !== undefined) this.#totals.said(pid, message.totals, message.latencies)
      }
    } catch (error) {
      this.#deps.log.warn('Ignored a line on the router socket', { error: messageOf(error) })
    }
  }
}
