import type { RoutingTable } from '../model/routing-table.ts'
import type { TlsSettings } from '../model/tls-settings.ts'
import { bootMs, monotonicMs } from '../platform/clock.ts'
import { readFileSync } from '../platform/disk.ts'
import { createLogger, type Logger, type LogLevel } from '../platform/log.ts'
import { bootId, exit, onSignal, onUncaught, pid } from '../platform/process.ts'
import { every } from '../platform/timers.ts'
import { messageOf } from '../std/fault.ts'
import { SECOND } from '../std/units.ts'
import { listenOn, type PortListener } from './frontend/port-listener.ts'
import type { PoolOptions } from './pool/pool-options.ts'
import { newPortCounters, type PortCounters, type PortName } from './port-counters.ts'
import { RouterFiles } from './router-files.ts'
import { openAgentLink } from './router/agent-link.ts'
import { openPeerPoll, type PollMember } from './router/peer-poll.ts'
import { Switchboard, totalsOf } from './router/switchboard.ts'
import type { RouterClock } from './router/table-holder.ts'
import { pushedTable } from './router/table-message.ts'

/** Everything that a router process is told; it crosses as JSON. Holds a secret: `routingToken`. */
export type RouterOptions = {
  readonly nodeName: string
  readonly listenHost: string
  /** Absent: the same for the pooled port. */
  readonly pooledHost?: string
  /** 0 lets the system choose (tests). */
  readonly ports: { readonly primary: number; readonly replica: number; readonly pooled: number }
  readonly holdTimeoutMs: number
  readonly maxClientConnections: number
  /** Absent: the pooled port is one more port of sessions with the primary. May hold a secret. */
  readonly pool?: PoolOptions
  /** Unix socket that the own agent listens on. */
  readonly agentSocket: string
  /** The other members at the router's start; its agent says so when they change. */
  readonly members: readonly PollMember[]
  /** Shown to the members as a bearer token. */
  readonly routingToken: string
  /** Absent: none on either side. */
  readonly tls?: TlsSettings
  /** PEM file of the authorities that sign the members' certificates. */
  readonly caFile?: string
  readonly logging: { readonly level: LogLevel; readonly file?: string }
}

export type RunningRouter = {
  readonly ports: { readonly primary: number; readonly replica: number; readonly pooled: number }
  /** Idempotent; resolves when no client is left. */
  readonly stop: () => Promise<void>
}

export type RouterDeps = {
  readonly log: Logger
  readonly clock: RouterClock
  /** The agent said stop. */
  readonly onStop: () => void
  /** Tests are in a hurry. */
  readonly pace?: RouterPace
}

export type RouterPace = {
  /** How long a predecessor may take to leave a port. */
  readonly portRetryMs: number
  /** How often the agent gets the counters. */
  readonly totalsEveryMs: number
  /** After this long without a good table from the agent others are asked … */
  readonly agentSilentMs: number
  /** … once in this time. */
  readonly pollEveryMs: number
}

const CLOCK_CHECK_EVERY_MS = 50
/** The agent pushes at least every 200 ms. */
const PACE: RouterPace = { portRetryMs: 2000, totalsEveryMs: SECOND, agentSilentMs: 500, pollEveryMs: 300 }

/** Starts a router inside this process. Throws `ROUTER_PORT_BUSY`, `ROUTER_CANNOT_LISTEN` or `TLS_FILE_UNUSABLE`. */
export async function startRouter(options: RouterOptions, deps: RouterDeps): Promise<RunningRouter> {
  const { log, clock, pace = PACE } = deps
  const boot = bootId()
  const counters: PortCounters[] = []
  let agentGoodAt = Number.NEGATIVE_INFINITY
  const { pool } = options
  const files = new RouterFiles(log, { tls: options.tls, usersFile: pool?.auth.file })
  const switchboard = new Switchboard(
    { log, clock, onClockJump: () => dropUnderWay() },
    {
      holdTimeoutMs: options.holdTimeoutMs,
      maxClientConnections: options.maxClientConnections,
      tls: files.tls,
      ...(pool ? { pool: { options: pool, secrets: files.secrets, reload: () => files.reload() } } : {}),
    },
  )
  const listeners = await listenOnAll({ ...options, ...pace }, counters, switchboard)

  function offer(table: RoutingTable, source: string): 'accepted' | 'stale' {
    return switchboard.holder.offer(table, source)
  }
  const link = openAgentLink(
    {
      log,
      onTable: (message) => {
        const verdict = offer(pushedTable(message, boot), options.nodeName)
        if (verdict === 'accepted' && switchboard.primaryOpen()) agentGoodAt = clock.monotonicMs()
      },
      onMembers: (members) => poll.setMembers(members),
      onStop: deps.onStop,
      onReload: () => void files.reload(),
      totals: () => totalsOf(counters, switchboard.waitingForServers),
    },
    { socketPath: options.agentSocket, pid, totalsEveryMs: pace.totalsEveryMs },
  )
  const poll = openPeerPoll(
    {
      log,
      monotonicMs: clock.monotonicMs,
      isNeeded: () => clock.monotonicMs() - agentGoodAt > pace.agentSilentMs,
      onTable: offer,
    },
    {
      members: options.members,
      token: options.routingToken,
      everyMs: pace.pollEveryMs,
      ...(options.caFile === undefined ? {} : { ca: readFileSync(options.caFile, 'utf8') }),
    },
  )
  function dropUnderWay(): void {
    link.reconnect()
    poll.restart()
  }
  const stopClock = every(CLOCK_CHECK_EVERY_MS, () => switchboard.holder.checkClock())
  const stopWatch = files.watch()
  const stopReport = every(SECOND, () => switchboard.logClosed())

  let stopped: Promise<void> | undefined
  async function stop(): Promise<void> {
    for (const listener of listeners) listener.close()
    poll.close()
    await switchboard.stop()
    // Order: the agent takes the end of this line for the end of the router.
    link.close()
    stopReport()
    stopWatch()
    stopClock()
  }
  const [primary = 0, replica = 0, pooled = 0] = listeners.map((listener) => listener.port)
  log.info('Router listening', { host: options.listenHost, primary, replica, pooled, pid })
  return { ports: { primary, replica, pooled }, stop: () => (stopped ??= stop()) }
}

/**
 * The router as a process of its own: ends with code 0 on SIGTERM or when its agent says stop, with code 1 when it
 * cannot listen. It outlives its agent, so nothing else ends it.
 */
export async function runRouter(options: RouterOptions): Promise<{ stop(): Promise<void> }> {
  const log = createLogger({ level: options.logging.level, destination: options.logging.file }).with({
    process: 'router',
    node: options.nodeName,
  })
  onUncaught((error) => {
    log.error('Unexpected error: the router ends, its agent starts another', { error })
    exit(1)
  })
  // A closed terminal is the agent's business; the router belongs to the node.
  onSignal('SIGHUP', () => {})
  let router: RunningRouter
  try {
    router = await startRouter(options, {
      log,
      clock: { monotonicMs, bootMs },
      onStop: () => end('STOP_REQUESTED'),
    })
  } catch (error) {
    log.error(messageOf(error), { error })
    exit(1)
  }
  function end(reason: 'SIGNAL' | 'STOP_REQUESTED'): void {
    log.info('Router stops', { reason })
    void router.stop().then(() => exit(0))
  }
  onSignal('SIGTERM', () => end('SIGNAL'))
  onSignal('SIGINT', () => end('SIGNAL'))
  return router
}

const PORT_NAMES: readonly PortName[] = ['primary', 'replica', 'pooled']

async function listenOnAll(
  options: RouterOptions & RouterPace,
  counters: PortCounters[],
  switchboard: Switchboard,
): Promise<PortListener[]> {
  const listeners: PortListener[] = []
  try {
    for (const name of PORT_NAMES) {
      const count = newPortCounters(name, options.ports[name])
      const host = (name === 'pooled' ? options.pooledHost : undefined) ?? options.listenHost
      const address = { host, port: options.ports[name], retryForMs: options.portRetryMs }
      const listener = await listenOn(address, (socket) => switchboard.accept(socket, count))
      count.listen = listener.port
      counters.push(count)
      listeners.push(listener)
    }
  } catch (error) {
    for (const listener of listeners) listener.close()
    throw error
  }
  return listeners
}
