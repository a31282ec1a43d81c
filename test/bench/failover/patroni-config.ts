import { join } from 'node:path'
import { stringify } from 'yaml'
import type { Mode } from '../../support/replication-mode.ts'

/**
 * The fastest settings that Patroni's documentation allows: the shortest lease (20 s), a loop every second, a failover at once when
 * PostgreSQL of the primary has crashed.
 */
const DCS = {
  ttl: 20,
  loop_wait: 1,
  retry_timeout: 3,
  primary_start_timeout: 0,
  maximum_lag_on_failover: 1_048_576,
}

/** A node's configuration file. */
export function patroniConfig(node: {
  readonly name: string
  readonly mode: Mode
  readonly address: string
  readonly port: number
  readonly apiPort: number
  readonly etcd: readonly string[]
  readonly binDir: string
  readonly folder: string
  readonly dataDir: string
  readonly password: string
}): string {
  const { password } = node
  const api = `${node.address}:${node.apiPort}`
  const server = `${node.address}:${node.port}`
  return stringify({
    scope: 'bench',
    name: node.name,
    restapi: { listen: api, connect_address: api },
    etcd3: { hosts: node.etcd },
    bootstrap: {
      dcs: {
        ...DCS,
        // The nearest that this version has to our quorum: the first of the standbys has each commit.
        synchronous_mode: node.mode !== 'async',
        postgresql: {
          use_pg_rewind: true,
          use_slots: true,
          parameters: { wal_log_hints: 'on', max_connections: 100 },
        },
      },
      initdb: [{ encoding: 'UTF8' }, 'data-checksums'],
    },
    postgresql: {
      listen: server,
      connect_address: server,
      data_dir: node.dataDir,
      bin_dir: node.binDir,
      pgpass: join(node.folder, 'pgpass'),
      remove_data_directory_on_diverged_timelines: true,
      remove_data_directory_on_rewind_failure: true,
      pg_hba: [
        'local all all trust',
        'host all all samenet scram-sha-256',
        'host replication all samenet scram-sha-256',
      ],
      authentication: {
        superuser: { username: 'postgres', password },
        replication: { username: 'replicator', password },
        rewind: { username: 'rewinder', password },
      },
      parameters: { unix_socket_directories: node.folder },
    },
  })
}
