import type { KeyTable } from '../key.ts'
import { accessKeys, accessLists, accessMaps } from './access-keys.ts'
import { clusterKeys, membersKey } from './cluster-keys.ts'
import { etcdHostsKey, etcdKeys } from './etcd-keys.ts'
import { poolDatabasesKey, poolKeys, poolLists, poolUsersKey } from './pool-keys.ts'
import {
  callbacksKey,
  databasesKey,
  parametersKey,
  postgresKeys,
  postgresLists,
  usersKey,
} from './postgres-keys.ts'
import { runtimeKeys } from './runtime-keys.ts'
import { clientTlsKeys, serverTlsKeys } from './tls-keys.ts'

/** Every key that a config may hold, in the order of the reference. */
export const keyTable: KeyTable = {
  scalars: [
    ...Object.values(clusterKeys),
    ...Object.values(accessKeys),
    ...Object.values(etcdKeys),
    ...Object.values(postgresKeys),
    ...Object.values(runtimeKeys),
    ...Object.values(clientTlsKeys),
    ...Object.values(serverTlsKeys),
    ...Object.values(poolKeys),
  ],
  lists: [
    etcdHostsKey,
    ...Object.values(accessLists),
    ...Object.values(postgresLists),
    ...Object.values(poolLists),
  ],
  maps: [...Object.values(accessMaps), parametersKey, callbacksKey],
  records: [membersKey, usersKey, databasesKey, poolDatabasesKey, poolUsersKey],
}

/** The sections in the order in which people read them. */
export const SECTIONS: readonly string[] = [
  'cluster',
  'identity',
  'local_db',
  'cluster_members',
  'etcd',
  'coordination',
  'health_check',
  'load_balancer',
  'security',
  'ctl',
  'postgresql',
  'replication',
  'bootstrap',
  'ha',
  'tags',
  'watchdog',
  'router',
  'pool',
  'logging',
  'paths',
]
