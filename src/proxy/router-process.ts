import type { TlsSettings } from '../model/tls-settings.ts'
import type { Logger, LogLevel } from '../platform/log.ts'
import type { Socket } from '../platform/net.ts'
import { pid } from '../platform/process.ts'
import { every } from '../platform/timers.ts'
import { SECOND } from '../std/units.ts'
import type { PortListener } from './frontend/port-listener.ts'
import { openPorts, PORT_NAMES, type InheritedPorts, type ListenPorts } from './frontend/router-ports.ts'
import { cancelElsewhere, keyOf } from './backend/cancel-elsewhere.ts'
import type { Estate } from './handover/heir.ts'
import type { Inheritance } from './handover/inheritance.ts'
import type { PoolOptions } from './pool/pool-options.ts'
import { newPortCounters, totalsOf, type PortCounters, type PortName } from './port-counters.ts'
import { RouterFiles } from './router-files.ts'
import type { AgentLinkDeps } from './router/agent-link.ts'
import type { PollMember } from './router/peer-poll.ts'
import { Switchboard, type PoolParts } from './router/switchboard.ts'
import type { RouterClock } from './router/table-holder.ts'
import { openTableSources } from './router/table-sources.ts'
import type { Crew, CrewMember } from './workers/crew.ts'

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
  /** Absent: one, which is the router's process itself. */
  readonly workers?: number
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
  /** What is shown to members that ask for a certificate. */
  readonly certFile?: string
  readonly keyFile?: string
  readonly logging: { readonly level: LogLevel; readonly file?: string }
}

export type RunningRouter = {
  readonly ports: { readonly primary: number; readonly replica: number; readonly pooled: number }
  /** Idempotent; resolves when no client is left. */
  readonly stop: () => Promise<void>
  /** Takes no more clients; resolves when those that are here have left, or have been ended after this time. */
  readonly retire: (withinMs: number) => Promise<void>
}

/** A router that another can take the place of. */
export type ReplaceableRouter = RunningRouter & Estate

export type RouterDeps = {
  readonly log: Logger
  readonly clock: RouterClock
  /** The agent said stop. */
  readonly onStop: () => void
  /** The agent said that another router is to take this one's place; absent: that is not for this process. */
  readonly onRestart?: AgentLinkDeps['onRestart']
  /** Who had the ports before, and has clients still. */
  readonly inheritance?: Inheritance | undefined
  /** Nobody is left of those that a retired process had. */
  readonly onRetired?: () => void
  /** Absent: this process is all of the router, and listens. */
  readonly seat?: WorkerSeat
  /** Tests are in a hurry. */
  readonly pace?: RouterPace
}

/** A worker's place in a router of several. */
export type WorkerSeat = {
  readonly crew: Crew
  readonly ports: ListenPorts
  /** From now on clients come, and what the others ask. */
  readonly join: (member: CrewMember, take: (port: PortName, socket: Socket) => void) => void
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
export async function startRouter(options: RouterOptions, deps: RouterDeps): Promise<ReplaceableRouter> {
  const { log, clock, pace = PACE, seat, inheritance } = deps
  const counters: PortCounters[] = []
  const { pool } = options
  const files = new RouterFiles(log, { tls: options.tls, usersFile: pool?.auth.file })
  const switchboard = new Switchboard(
    { log, clock, onClockJump: () => tables.restart() },
    {
      holdTimeoutMs: options.holdTimeoutMs,
      maxClientConnections: options.maxClientConnections,
      tls: files.tls,
      crew: seat?.crew,
      cancelElsewhere: seat ? undefined : (key, done) => cancelElsewhere(key, { inheritance, tables }, done),
      ...poolParts(pool, files, (done) => tables.reload(done)),
    },
  )
  const inherited = await inheritance?.ports()
  const listeners = seat
    ? []
    : await listenOnAll({ ...options, ...pace, ...(inherited ? { inherited } : {}) }, counters, switchboard)
  if (seat) takeFrom(seat, counters, switchboard)
  const tables = openTableSources(
    {
      log,
      monotonicMs: clock.monotonicMs,
      offer: (table, source) => switchboard.holder.offer(table, source),
      primaryOpen: () => switchboard.primaryOpen(),
      onStop: deps.onStop,
      onSettings: (settings, { reload }) => {
        if (settings) switchboard.pooler?.configure(settings)
        if (reload) files.reload()
      },
      onRestart: (order, failed) => deps.onRestart?.(order, failed),
      onCancel: (order, done) => switchboard.cancel(keyOf(order), done),
      totals: () => totalsOf(counters, switchboard.waitingForServers),
      latencies: () => switchboard.pooler?.latencies() ?? [],
    },
    { ...options, ...pace, role: seat ? 'worker' : 'router' },
  )
  const stopClock = every(CLOCK_CHECK_EVERY_MS, () => switchboard.holder.checkClock())
  const stopWatch = files.watch()
  const stopReport = every(SECOND, () => switchboard.logClosed())

  let stopped: Promise<void> | undefined
  async function stop(): Promise<void> {
    for (const listener of listeners) listener.close()
    tables.stopAsking()
    await switchboard.stop()
    // Order: the agent takes the end of this line for the end of the router.
    tables.close()
    stopReport()
    stopWatch()
    stopClock()
  }
  async function retire(withinMs: number): Promise<void> {
    for (const listener of listeners) listener.close()
    if (!seat) tables.retire()
    await switchboard.retire(withinMs)
    await (stopped ??= stop())
  }
  const [primary = 0, replica = 0, pooled = 0] = counters.map(({ listen }) => listen)
  if (!seat) log.info('Router listening', { host: options.listenHost, primary, replica, pooled, pid })
  inheritance?.ready()
  return {
    ports: { primary, replica, pooled },
    stop: () => (stopped ??= stop()),
    retire,
    listeners,
    cancel: (key, done) => switchboard.cancel(key, done),
  }
}

function poolParts(
  options: PoolOptions | undefined,
  files: RouterFiles,
  askAgent: NonNullable<PoolParts['askAgent']>,
): { readonly pool?: PoolParts } {
  if (!options) return {}
  return {
    pool: {
      options,
      secrets: files.secrets,
      reload: () => files.reload(),
      askAgent,
    },
  }
}

/** Clients come from the supervisor, which has the ports. */
function takeFrom({ ports, join }: WorkerSeat, counters: PortCounters[], switchboard: Switchboard): void {
  for (const name of PORT_NAMES) counters.push(newPortCounters(name, ports[name]))
  join(switchboard, (port, socket) => {
    const count = counters.find((each) => each.port === port)
    if (count) switchboard.accept(socket, count)
    else socket.destroy()
  })
}

async function listenOnAll(
  options: RouterOptions & RouterPace & { readonly inherited?: InheritedPorts },
  counters: PortCounters[],
  switchboard: Switchboard,
): Promise<PortListener[]> {
  const own = new Map(PORT_NAMES.map((name) => [name, newPortCounters(name, options.ports[name])]))
  const { inherited, portRetryMs: retryForMs } = options
  const how = { retryForMs, isForOthers: false, ...(inherited ? { inherited } : {}) }
  const listeners = await openPorts(options, how, (name, socket) => {
    const count = own.get(name)
    if (count) switchboard.accept(socket, count)
  })
  for (const [index, count] of [...own.values()].entries()) count.listen = listeners[index]?.port ?? 0
  counters.push(...own.values())
  return listeners
}
