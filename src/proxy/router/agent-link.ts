import type { CancelOrder } from '../../model/cancel-order.ts'
import type { PortTotals } from '../../model/cluster-view.ts'
import type { RoutingTableMessage } from '../../model/routing-table.ts'
import type { StatementLatency } from '../../model/statement-latency.ts'
import type { Logger } from '../../platform/log.ts'
import { connect, type Socket } from '../../platform/net.ts'
import { after, every } from '../../platform/timers.ts'
import { KiB, MiB } from '../../std/units.ts'
import type { PoolOptions } from '../pool/pool-options.ts'
import type { PollMember } from './peer-poll.ts'
import { PendingQuestions } from './pending-questions.ts'
import { parseTableMessage } from './table-message.ts'

export type AgentLinkDeps = {
  readonly log: Logger
  readonly onTable: (message: RoutingTableMessage) => void
  /** The other members, whenever they change. */
  readonly onMembers: (members: readonly PollMember[]) => void
  /** The agent tells the router to end. */
  readonly onStop: () => void
  /** What the pooler's settings are by now; `reload`: the operator wants files to be read again as well. */
  readonly onSettings: (pool: PoolOptions | undefined, how: { readonly reload: boolean }) => void
  /** Another router is to take this one's place. */
  readonly onRestart: (order: RestartOrder, failed: () => void) => void
  /** A cancel request that came to another node; `done`: whether the key is known here. */
  readonly onCancel: (order: CancelOrder, done: (isKnown: boolean) => void) => void
  readonly totals: () => readonly PortTotals[]
  readonly latencies: () => readonly StatementLatency[]
}

/** What a router is told so that another can take its place. */
export type RestartOrder = {
  /** The program of the next one, with its arguments. */
  readonly command: readonly string[]
  /** What the next one is told; may hold secrets. */
  readonly options: object
  /** How long this one's clients may stay. */
  readonly withinMs: number
}

/** What came of reading the node's configuration again. */
export type ReloadNews =
  | { readonly refusal: string }
  | {
      readonly pool: PoolOptions
      /** Keys whose new value waits for another router. */
      readonly waiting: readonly string[]
    }

export type AgentLink = {
  /** Has the agent read its configuration again; `done` gets nothing where there is no agent. */
  readonly reload: (done: (news: ReloadNews | undefined) => void) => void
  /** Has the other nodes look for a key; `done` follows when one has acted, or when there is none, or no agent. */
  readonly cancelElsewhere: (order: CancelOrder, done: () => void) => void
  /** From now on another router has the ports; this one goes on hearing tables. */
  readonly retire: () => void
  /** Drops the connection, and with it what was under way in it, and connects again. */
  readonly reconnect: () => void
  readonly close: () => void
}

const RECONNECT_EVERY_MS = 100
const CONNECT_TIMEOUT_MS = 1000
const LINE_BYTES_MAX = MiB
/** An agent that does not read gets no more counters. */
const UNSENT_BYTES_MAX = 64 * KiB
const NEWLINE = 0x0a

/**
 * The line to the own agent: the agent listens on a Unix socket, the router says hello, then tables come and counters
 * go, one JSON object a line. Whoever is behind the socket after a restart is the agent: the router is adopted by it.
 */
export function openAgentLink(
  deps: AgentLinkDeps,
  options: {
    /** A worker is told tables, its router everything else. */
    readonly role: 'router' | 'worker'
    readonly socketPath: string
    readonly pid: number
    readonly totalsEveryMs: number
  },
): AgentLink {
  let socket: Socket | undefined
  let stopReconnect: () => void = () => {}
  let closed = false
  let role: string = options.role
  const say = (message: object): void => void socket?.write(`${JSON.stringify(message)}\n`)
  const questions = new PendingQuestions()
  const sayHello = (): void => say({ role, pid: options.pid })

  function open(): void {
    if (closed) return
    const link = connect(options.socketPath)
    socket = link
    const lines = createLineSplitter((line) => link === socket && receive(line, { deps, say, questions }))
    const stopTimer = after(CONNECT_TIMEOUT_MS, () => link.destroy())
    link.on('connect', () => {
      stopTimer()
      deps.log.info('Connected to the agent', { socket: options.socketPath })
      sayHello()
    })
    link.on('data', (chunk) => {
      if (lines(chunk)) return
      deps.log.warn('The agent sent a line beyond the limit', { limitBytes: LINE_BYTES_MAX })
      link.destroy()
    })
    link.on('error', () => {})
    link.on('close', () => {
      stopTimer()
      if (link !== socket) return
      socket = undefined
      questions.endAll()
      stopReconnect = after(RECONNECT_EVERY_MS, open)
    })
  }

  const stopTotals = every(options.totalsEveryMs, () => {
    if (!socket || socket.connecting || socket.writableLength > UNSENT_BYTES_MAX) return
    say({ kind: 'totals', totals: deps.totals(), latencies: deps.latencies() })
  })
  open()
  return {
    ...asking((question, done) =>
      questions.ask(question, socket?.connecting === false ? say : undefined, done),
    ),
    retire: () => {
      role = 'retiring'
      sayHello()
    },
    reconnect: () => {
      const old = socket
      if (!old) return
      socket = undefined
      old.destroy()
      open()
    },
    close: () => {
      closed = true
      stopTotals()
      stopReconnect()
      socket?.destroy()
      socket = undefined
    },
  }
}

function asking(
  ask: (question: object, done: (answer: unknown) => void) => void,
): Pick<AgentLink, 'cancelElsewhere' | 'reload'> {
  return {
    cancelElsewhere: ({ processId, secret }, done) =>
      ask({ kind: 'cancel', processId, secret }, () => done()),
    reload: (done) => ask({ kind: 'reload' }, (answer) => done(answer as ReloadNews | undefined)),
  }
}

function receive(
  line: string,
  {
    deps,
    say,
    questions,
  }: {
    readonly deps: AgentLinkDeps
    readonly say: (message: object) => void
    readonly questions: PendingQuestions
  },
): void {
  const value = parseJson(line)
  switch (orderOf(value)) {
    case 'stop':
      return deps.onStop()
    case 'settings':
    case 'reload': {
      const { kind, pool } = value as { readonly kind: string; readonly pool?: PoolOptions }
      return deps.onSettings(pool, { reload: kind === 'reload' })
    }
    case 'restart':
      return deps.onRestart(value as RestartOrder, () => say({ kind: 'restart-failed' }))
    case 'cancel': {
      const { id, ...order } = value as CancelOrder & { readonly id: number }
      return deps.onCancel(order, (isKnown) => say({ kind: 'cancelled', id, isKnown }))
    }
    case 'cancelled':
    case 'reloaded': {
      const { id, ...answer } = value as { readonly id: number }
      return questions.answered(id, answer)
    }
  }
  const members = parseMembers(value)
  if (members) return deps.onMembers(members)
  const message = parseTableMessage(value)
  if (message) deps.onTable(message)
  else deps.log.warn('The agent sent a line that is no routing table', { bytes: line.length })
}

/** Cuts a stream into lines; the returned function answers false when a line is longer than the limit. */
function createLineSplitter(onLine: (line: string) => void): (chunk: Buffer) => boolean {
  let rest: Buffer = Buffer.alloc(0)
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE)) {
      const line = rest.toString('utf8', 0, end)
      rest = rest.subarray(end + 1)
      if (line !== '') onLine(line)
    }
    return rest.length <= LINE_BYTES_MAX
  }
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

/** `{"kind": "members", "members": [{"name": …, "apiUrl": …}]}`; `undefined` for anything else. */
function parseMembers(value: unknown): readonly PollMember[] | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { kind, members } = value as { kind?: unknown; members?: unknown }
  if (kind !== 'members' || !Array.isArray(members)) return undefined
  return (members as readonly unknown[]).flatMap((member) => {
    const { name, apiUrl } = (member ?? {}) as { name?: unknown; apiUrl?: unknown }
    return typeof name === 'string' && typeof apiUrl === 'string' && URL.canParse(apiUrl)
      ? [{ name, apiUrl }]
      : []
  })
}

function orderOf(value: unknown): unknown {
  return typeof value === 'object' && value !== null && 'kind' in value ? value.kind : undefined
}
