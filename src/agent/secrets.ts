import type { NodeConfig } from '../config/node-config.ts'
import { hmacSha256 } from '../platform/hash.ts'

export type Secrets = {
  /** Agents prove to each other that they know it. */
  readonly cluster: string
  /** Routers show it to the agents of other nodes, for tables only. */
  readonly routing: string
  readonly replicationPassword: string
  /** The cluster secret was derived from the database password: worth a warning. */
  readonly isDerived: boolean
}

/** Every secret that is not given is derived, so that all nodes of a cluster come to the same one. */
export function deriveSecrets(config: NodeConfig): Secrets {
  const given = config.security.clusterSecret
  const cluster = given ?? derive(config.localDb.password, `cluster secret of ${config.scope}`)
  return {
    cluster,
    routing: derive(cluster, 'routing token'),
    replicationPassword: config.replication.password ?? derive(cluster, 'replication password'),
    isDerived: given === undefined,
  }
}

function derive(secret: string, purpose: string): string {
  return hmacSha256(secret, `pg-metako ${purpose}`).toString('base64url')
}
