import type { PeerReach } from '#client'
import type { PeerFacts } from '../../ha/snapshot.ts'
import { monotonicMs } from '../../platform/clock.ts'
import { connectWithin } from '../../platform/net.ts'
import { ReplicationConnection } from '../../postgres/replication-connection.ts'
import { messageOf } from '../../std/fault.ts'

/** Another member, as this node would reach it. */
export type ReachedPeer = {
  readonly name: string
  readonly apiHost: string
  readonly apiPort: number
  /** Of its PostgreSQL, while that is said to run. */
  readonly postgres?: { readonly host: string; readonly port: number }
}

/** The members by the registry, and where PostgreSQL of those runs that said so. */
export function reachablePeers(
  registered: readonly { readonly name: string; readonly host: string; readonly port: number }[],
  heard: readonly PeerFacts[],
): readonly ReachedPeer[] {
  return registered.map(({ name, host, port }) => {
    const facts = heard.find((one) => one.name === name)?.facts
    const at = { name, apiHost: host, apiPort: port }
    return facts?.instance.state === 'running'
      ? { ...at, postgres: { host: facts.host, port: facts.port } }
      : at
  })
}

/** The best of them is the network's; the others may have waited for this process. */
const TRIES = 5
const CONNECT_MS = 2000
/** A busy server starts a process for it. */
const ANSWER_MS = 3000

/** Connects to the agent of a peer, and to its PostgreSQL for replication: as in earnest, and nothing behind that. */
export async function reachPeer(
  { name, apiHost, apiPort, postgres }: ReachedPeer,
  login: { readonly user: string; readonly password: string } | undefined,
): Promise<PeerReach> {
  // Order: one after the other, since what else happens in this process counts as time on the way.
  const api = await reachApi({ host: apiHost, port: apiPort })
  const replication = postgres && login ? await reachReplication({ ...postgres, ...login }) : {}
  return { name, api: `${apiHost}:${apiPort}`, ...api, ...replication }
}

async function reachApi(at: {
  readonly host: string
  readonly port: number
}): Promise<Pick<PeerReach, 'roundTripMs' | 'apiTrouble'>> {
  let best: number | undefined
  try {
    for (let tries = 0; tries < TRIES; tries += 1) {
      const begunAt = monotonicMs()
      const socket = await connectWithin(at, CONNECT_MS)
      const tookMs = monotonicMs() - begunAt
      socket.destroy()
      best = best === undefined ? tookMs : Math.min(best, tookMs)
    }
  } catch (error) {
    if (best === undefined) return { apiTrouble: messageOf(error) }
  }
  return best === undefined ? {} : { roundTripMs: Number(best.toFixed(1)) }
}

async function reachReplication(target: {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
}): Promise<Pick<PeerReach, 'replication' | 'replicationTrouble'>> {
  try {
    const connection = await ReplicationConnection.open(
      { ...target, applicationName: 'pg-metako doctor' },
      { connectTimeoutMs: CONNECT_MS, silenceMs: ANSWER_MS },
    )
    connection.close()
    return { replication: 'accepted' }
  } catch (error) {
    return { replication: 'refused', replicationTrouble: messageOf(error) }
  }
}
