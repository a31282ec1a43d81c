import { ClientError, createClient, type Client, type ClusterView } from '#client'
import { createHttpExchange } from '../platform/http-client.ts'
import { SECOND } from '../std/units.ts'
import { CommandFailure, EXIT } from './command-failure.ts'
import type { Endpoint, Endpoints } from './endpoints.ts'

/** A member on another continent answers in a fifth of it; a person waits no longer than that. */
const ANSWER_MS = 2 * SECOND

export type Connection = { readonly client: Client; readonly view: ClusterView }

/**
 * Asks all members at once and takes the first in the list that answers and sees a majority: one that is cut off knows
 * only the past. When none sees a majority, the first that answers.
 */
export async function connectCluster(endpoints: Endpoints): Promise<Connection> {
  const enough = new AbortController()
  const asked = endpoints.list.map((endpoint) => ask(endpoint, enough.signal))
  const failures: string[] = []
  let cutOff: Connection | undefined
  try {
    for (const answer of asked) {
      const result = await answer
      if (result instanceof ClientError) failures.push(result.message)
      else if (result.view.consensus.hasQuorum) return result
      else cutOff ??= result
    }
  } finally {
    enough.abort()
  }
  if (cutOff) return cutOff
  throw new CommandFailure(
    EXIT.unreachable,
    `Cannot reach the cluster (from ${endpoints.source}): ${failures.join('; ')}`,
    'Is an agent running? In a clone, "npm start" starts the demo; on a host, see "systemctl status pg-metako"',
  )
}

/** For a command that changes something: only members that we have a token for. */
export async function connectForChange(endpoints: Endpoints): Promise<Connection> {
  const list = endpoints.list.filter((endpoint) => endpoint.token !== undefined)
  if (list.length === 0)
    throw new CommandFailure(
      EXIT.wrongUsage,
      `Cannot change anything without a token: ${endpoints.tokenProblem ?? 'there is none'}`,
      'Run this as the user of the agent, or give --token or PG_METAKO_TOKEN',
    )
  return await connectCluster({ ...endpoints, list })
}

async function ask(endpoint: Endpoint, signal: AbortSignal): Promise<Connection | ClientError> {
  const client = createClient({
    url: endpoint.url,
    timeoutMs: ANSWER_MS,
    transport: createHttpExchange(endpoint.tls),
    ...(endpoint.token === undefined ? {} : { token: endpoint.token }),
  })
  try {
    return { client, view: await client.view({ signal }) }
  } catch (error) {
    if (error instanceof ClientError) return error
    throw error
  }
}
