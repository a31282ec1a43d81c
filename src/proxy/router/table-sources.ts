import type { PortTotals } from '../../model/cluster-view.ts'
import type { RoutingTable } from '../../model/routing-table.ts'
import { readFileSync } from '../../platform/disk.ts'
import type { Logger } from '../../platform/log.ts'
import { bootId, pid } from '../../platform/process.ts'
import { openAgentLink, type AgentLink, type AgentLinkDeps } from './agent-link.ts'
import { openPeerPoll, type PollMember } from './peer-poll.ts'
import { pushedTable } from './table-message.ts'

export type TableSourcesDeps = {
  readonly log: Logger
  readonly monotonicMs: () => number
  readonly offer: (table: RoutingTable, source: string) => 'accepted' | 'stale'
  readonly primaryOpen: () => boolean
  readonly onStop: () => void
  readonly onSettings: AgentLinkDeps['onSettings']
  readonly onRestart: AgentLinkDeps['onRestart']
  readonly onCancel: AgentLinkDeps['onCancel']
  readonly totals: () => readonly PortTotals[]
  readonly latencies: AgentLinkDeps['latencies']
}

export type TableSourcesOptions = {
  readonly role: 'router' | 'worker'
  readonly nodeName: string
  readonly agentSocket: string
  readonly members: readonly PollMember[]
  readonly routingToken: string
  readonly caFile?: string
  readonly certFile?: string
  readonly keyFile?: string
  readonly totalsEveryMs: number
  readonly agentSilentMs: number
  readonly pollEveryMs: number
}

export type TableSources = Pick<AgentLink, 'cancelElsewhere' | 'reload'> & {
  /** Drops what is under way: the host was suspended, and it proves nothing any more. */
  readonly restart: () => void
  /** Says to the agent that another router has the ports now. */
  readonly retire: () => void
  /** The members are not asked any more. */
  readonly stopAsking: () => void
  /** The agent takes this for the end of the router. */
  readonly close: () => void
}

/** Tables come from the own agent, and from the other members while it is gone or has no good one. */
export function openTableSources(deps: TableSourcesDeps, options: TableSourcesOptions): TableSources {
  const { log, monotonicMs, offer } = deps
  const boot = bootId()
  let agentGoodAt = Number.NEGATIVE_INFINITY
  const link = openAgentLink(
    {
      log,
      onTable: (message) => {
        const verdict = offer(pushedTable(message, boot), options.nodeName)
        if (verdict === 'accepted' && deps.primaryOpen()) agentGoodAt = monotonicMs()
      },
      onMembers: (members) => poll.setMembers(members),
      onStop: deps.onStop,
      onSettings: deps.onSettings,
      onRestart: deps.onRestart,
      onCancel: deps.onCancel,
      totals: deps.totals,
      latencies: deps.latencies,
    },
    {
      role: options.role,
      socketPath: options.agentSocket,
      pid,
      totalsEveryMs: options.totalsEveryMs,
    },
  )
  const poll = openPeerPoll(
    {
      log,
      monotonicMs,
      isNeeded: () => monotonicMs() - agentGoodAt > options.agentSilentMs,
      onTable: offer,
    },
    {
      members: options.members,
      token: options.routingToken,
      everyMs: options.pollEveryMs,
      tls: {
        ...pemOf('ca', options.caFile),
        ...pemOf('cert', options.certFile),
        ...pemOf('key', options.keyFile),
      },
    },
  )
  return {
    cancelElsewhere: link.cancelElsewhere,
    reload: link.reload,
    restart: () => {
      link.reconnect()
      poll.restart()
    },
    retire: () => link.retire(),
    stopAsking: () => poll.close(),
    close: () => link.close(),
  }
}

function pemOf<Name extends string>(
  name: Name,
  file: string | undefined,
): { readonly [key in Name]?: string } {
  return (file === undefined ? {} : { [name]: readFileSync(file, 'utf8') }) as {
    readonly [key in Name]?: string
  }
}
