import { Client } from 'pg'
import { pause } from '../../../src/platform/timers.ts'

export type Server = { readonly host: string; readonly port: number }
export type Login = { readonly user: string; readonly password: string; readonly database: string }

/** How long one server of the list is waited for before the next is tried: the shortest that libpq allows. */
const CONNECT_MS = 2000
const QUERY_MS = 10_000
const RETRY_MS = 10

/** The first of the list that takes writes, each tried in turn, as libpq does with `target_session_attrs=read-write`. */
export async function openWritable(servers: readonly Server[], login: Login): Promise<Client> {
  for (;;) {
    for (const server of servers) {
      try {
        const client = await openServer(server, login)
        const { rows } = await client.query<{ transaction_read_only: string }>('show transaction_read_only')
        if (rows[0]?.transaction_read_only === 'off') return client
        await client.end()
      } catch {
        // The next of the list.
      }
    }
    await pause(RETRY_MS)
  }
}

export async function openServer(server: Server, login: Login): Promise<Client> {
  const client = new Client({
    ...server,
    ...login,
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: QUERY_MS,
  })
  client.on('error', () => {})
  await client.connect()
  return client
}
