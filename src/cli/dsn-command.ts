import type { ClusterView } from '#client'
import { CommandFailure, EXIT } from './command-failure.ts'
import type { Report } from './report.ts'

export const DSN_ROLES = ['primary', 'replica', 'pooled'] as const
export type DsnRole = (typeof DSN_ROLES)[number]

export type DsnRequest = {
  readonly role: DsnRole
  /** This member's PostgreSQL itself, past all routers. */
  readonly member?: string | undefined
}

type Target = { readonly host: string; readonly port: number }

/**
 * Where to connect to, as libpq and most drivers read it. Every node's router is named: a client that has lost its host
 * goes on with the next. User, password and database are the application's.
 */
export function dsnReport(view: ClusterView, request: DsnRequest): Report {
  const targets =
    request.member === undefined ? routersOf(view, request.role) : [memberOf(view, request.member)]
  const dsn = `host=${targets.map(({ host }) => host).join(',')} port=${targets.map(({ port }) => port).join(',')}`
  const uri = `postgresql://${targets.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`).join(',')}/`
  return {
    data: {
      role: request.member === undefined ? request.role : undefined,
      member: request.member,
      targets,
      dsn,
      uri,
    },
    table: { columns: [{ title: 'DSN' }], rows: [[dsn]] },
    footer: [],
    rows: [['host', 'port'], ...targets.map(({ host, port }) => [host, port])],
  }
}

function memberOf(view: ClusterView, name: string): Target {
  const found = view.members.find(({ facts }) => facts.name === name)
  if (found) return { host: found.facts.host, port: found.facts.port }
  const known = view.members.map(({ facts }) => facts.name).join(', ')
  throw new CommandFailure(EXIT.failed, `Cannot find member "${name}": the members are ${known}`)
}

/** The answering node's own router first: it is the nearest. Silent nodes last. */
function routersOf(view: ClusterView, role: DsnRole): readonly Target[] {
  const rank = (member: ClusterView['members'][number]) =>
    member.facts.name === view.self ? 0 : member.reachable ? 1 : 2
  const targets = view.members
    .toSorted((one, two) => rank(one) - rank(two))
    .flatMap(({ facts }) => (facts.routerPorts ? [{ host: facts.host, port: facts.routerPorts[role] }] : []))
  if (targets.length > 0) return targets
  throw new CommandFailure(
    EXIT.failed,
    'Cannot name a router: no member runs one',
    'Set "router.enabled: true", or ask for one PostgreSQL with --member NAME',
  )
}
