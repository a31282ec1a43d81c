import { describeTls } from '../../../platform/tls.ts'
import type { Value } from '../../../wire/rows.ts'
import type { Pool } from '../pool.ts'
import type { PooledClient } from '../pooled-client.ts'
import type { ServerConnection } from '../server-connection.ts'

export type ShownClient = { readonly id: number; readonly user: string; readonly client: PooledClient }

type SocketsView = {
  readonly now: number
  readonly wallMs: number
  readonly pools: readonly Pool[]
  readonly clients: readonly ShownClient[]
}

/** SHOW CLIENTS. */
export function clientRows(view: SocketsView): readonly (readonly Value[])[] {
  return view.clients.map(({ id, user, client }) => {
    const { pool, socket, times, server } = client
    const waitedMs = times.waitingSince === undefined ? 0 : view.now - times.waitingSince
    return [
      'C',
      user,
      pool.database,
      '',
      stateOf(client),
      socket.remoteAddress ?? '',
      socket.remotePort ?? 0,
      socket.localAddress ?? '',
      socket.localPort ?? 0,
      timeOf(view, times.connectedAt),
      timeOf(view, times.activeAt),
      Math.floor(waitedMs / 1000),
      Math.round(waitedMs * 1000) % 1_000_000,
      0,
      pointer('c', id),
      server ? pointer('s', server.id) : '',
      0,
      describeTls(socket),
      client.settings.get('application_name') ?? '',
      client.statements.size,
      id,
    ]
  })
}

/** SHOW SERVERS. */
export function serverRows(view: SocketsView): readonly (readonly Value[])[] {
  const ids = new Map(view.clients.map(({ id, client }) => [client, id]))
  return view.pools.flatMap((pool) =>
    pool.servers().map((server) => {
      const { target } = server.binding
      const clientId = ids.get(server.user as PooledClient)
      return [
        'S',
        pool.user,
        pool.database,
        '',
        serverState(pool, server),
        target.host,
        target.port,
        server.localAddress,
        server.localPort,
        timeOf(view, server.connectedAt),
        timeOf(view, server.idleSince),
        0,
        0,
        Number(server.isDoomed || server.isDraining),
        pointer('s', server.id),
        clientId === undefined ? '' : pointer('c', clientId),
        server.key?.processId ?? 0,
        server.tls,
        server.parameters.get('application_name') ?? '',
        server.statements.size,
        server.id,
      ]
    }),
  )
}

function stateOf(client: PooledClient): string {
  if (client.times.waitingSince !== undefined) return 'waiting'
  return client.server ? 'active' : 'idle'
}

function serverState(pool: Pool, server: ServerConnection): string {
  if (pool.isCancelled(server)) return 'being_canceled'
  return pool.isIdle(server) ? 'idle' : 'active'
}

function timeOf(view: SocketsView, at: number): string {
  const time = new Date(view.wallMs - (view.now - at)).toISOString()
  return `${time.slice(0, 10)} ${time.slice(11, 19)} UTC`
}

/** PgBouncer shows addresses in its memory; what counts is that one can look up who is joined to whom. */
function pointer(kind: string, id: number): string {
  return `${kind}${id}`
}
