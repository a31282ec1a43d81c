import type { JoinDocument } from '#client'
import type { NodeConfig } from '../../config/node-config.ts'
import type { Registry } from '../../model/membership.ts'
import type { Secrets } from '../secrets.ts'

/** Everything that a node needs to be one of this cluster: what all nodes share, nothing of this node alone. */
export function joinDocument(
  config: NodeConfig,
  secrets: Pick<Secrets, 'cluster'>,
  about: { readonly name: string; readonly groupId: string; readonly registry: Registry },
): JoinDocument {
  const { localDb, security, replication, postgresql, ha, router } = config
  const { revision, nodes } = about.registry
  return {
    format: 1,
    scope: config.scope,
    namespace: config.namespace,
    groupId: about.groupId,
    name: about.name,
    registry: { revision, nodes },
    secrets: {
      superuserPassword: localDb.password,
      clusterSecret: secrets.cluster,
      ...(security.apiToken === undefined ? {} : { apiToken: security.apiToken }),
      ...(replication.password === undefined ? {} : { replicationPassword: replication.password }),
    },
    database: { port: localDb.port, username: localDb.username },
    tls: security.tlsEnabled,
    sections: {
      postgresql: {
        ...(Object.keys(postgresql.parameters).length === 0 ? {} : { parameters: postgresql.parameters }),
        ...(postgresql.pgHba.length === 0 ? {} : { pg_hba: postgresql.pgHba }),
      },
      replication: {
        username: replication.username,
        maximum_lag_on_failover: `${replication.maximumLagOnFailoverBytes}B`,
        use_slots: replication.useSlots,
        ...acksOf(replication.acks),
      },
      ha: {
        profile: ha.profile,
        ...(ha.leaseTtlMs === undefined ? {} : { lease_ttl: milliseconds(ha.leaseTtlMs) }),
        primary_start_timeout: milliseconds(ha.primaryStartTimeoutMs),
        store_grace: milliseconds(ha.storeGraceMs),
        drain_timeout: milliseconds(ha.drainTimeoutMs),
        fencing: ha.fencing,
      },
      router: {
        enabled: router.enabled,
        primary_port: router.primaryPort,
        replica_port: router.replicaPort,
        pooled_port: router.pooledPort,
        hold_timeout: milliseconds(router.holdTimeoutMs),
        max_client_connections: router.maxClientConnections,
      },
    },
  }
}

/** A node that came to a cluster without these would let commits wait for nobody as soon as it is primary. */
function acksOf(
  acks: NodeConfig['replication']['acks'],
): Readonly<Record<string, string | number | boolean>> {
  if (!acks) return { mode: 'async' }
  return {
    mode: acks.method === 'FIRST' ? 'sync' : 'quorum',
    synchronous_mode_strict: acks.isStrict,
    ...(acks.wantedK === undefined ? {} : { synchronous_node_count: acks.wantedK }),
  }
}

function milliseconds(ms: number): string {
  return `${ms}ms`
}
