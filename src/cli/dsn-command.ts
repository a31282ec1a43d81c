import type { ClusterView } from '#client'
import { CommandFailure, EXIT } from './command-failure.ts'
import type { Application } from './endpoints.ts'
import type { Report } from './report.ts'

export const DSN_ROLES = ['primary', 'replica', 'pooled'] as const
export type DsnRole = (typeof DSN_ROLES)[number]

export type DsnRequest = {
  readonly role: DsnRole
  /** This member's PostgreSQL itself, past all routers. */
  readonly member?: string | undefined
  readonly application?: Application | undefined
}

type Target = { readonly host: string; readonly port: number }

/**
 * Where to connect to, as libpq and most drivers read it: `psql "$(pg-metako dsn)"`. Every node's router is named: a client
 * that has lost its host goes on with the next. Never with a password: lines like this end in scripts and histories.
 */
export function dsnReport(view: ClusterView, request: DsnRequest): Report {
  const targets =
    request.member === undefined ? routersOf(view, request.role) : [memberOf(view, request.member)]
  const { user, database } = request.application ?? {}
  const dsn = [
    `host=${targets.map(({ host }) => host).join(',')}`,
    `port=${targets.map(({ port }) => port).join(',')}`,
    ...(user === undefined ? [] : [`user=${quoted(user)}`]),
    ...(database === undefined ? [] : [`dbname=${quoted(database)}`]),
  ].join(' ')
  const hosts = targets
    .map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`)
    .join(',')
  const uri = `postgresql://${user === undefined ? '' : `${encodeURIComponent(user)}@`}${hosts}/${encodeURIComponent(database ?? '')}`
  return {
    data: {
      role: request.member === undefined ? request.role : undefined,
      member: request.member,
      targets,
      user,
      database,
      dsn,
      uri,
    },
    table: { columns: [{ title: 'DSN' }], rows: [[dsn]] },
    footer: [],
    rows: [['host', 'port'], ...targets.map(({ host, port }) => [host, port])],
  }
}

/** https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-KEYWORD-VALUE */
function quoted(value: string): string {
  return /^[^\s'\\]+$/.test(value) ? value : `'${value.replaceAll(/['\\]/g, String.raw`\$&`)}'`
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
