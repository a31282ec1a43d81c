import type { NodeConfig } from '../config/node-config.ts'
import { join } from '../platform/disk.ts'
import type { PoolAuth, PoolOptions } from '../proxy/pool/pool-options.ts'
import type { RouterOptions } from '../proxy/router-process.ts'

/** Where the agent feeds its router. */
export function agentSocketOf(config: NodeConfig): string {
  return join(config.paths.runDir, 'agent.sock')
}

/** Everything that this node's router process is told. */
export function routerOptions(
  config: NodeConfig,
  given: { routingToken: string; logFile: string; members: RouterOptions['members'] },
): RouterOptions {
  const { router, security, ctl, pool } = config
  const { certFile = security.certFile, keyFile = security.keyFile } = ctl
  return {
    nodeName: config.identity.nodeName,
    listenHost: router.listenHost,
    ...(pool.listenAddr === undefined ? {} : { pooledHost: pool.listenAddr }),
    ports: { primary: router.primaryPort, replica: router.replicaPort, pooled: router.pooledPort },
    holdTimeoutMs: router.holdTimeoutMs,
    maxClientConnections: router.maxClientConnections,
    workers: router.workers,
    pool: poolOptions(config),
    tls: router.tls,
    agentSocket: agentSocketOf(config),
    members: given.members,
    routingToken: given.routingToken,
    ...(security.caFile === undefined ? {} : { caFile: security.caFile }),
    ...(security.tlsEnabled && certFile !== undefined && keyFile !== undefined ? { certFile, keyFile } : {}),
    logging: { level: config.logging.level, file: given.logFile },
  }
}

/** `auth_query: none`: nobody is asked. */
const NO_LOOKUP = 'none'

/** The settings of the pooled port. */
export function poolOptions(config: NodeConfig): PoolOptions {
  const { authType, authFile, authUser, authDbname, authQuery, maxClientConn, ...pool } = config.pool
  const { username, password, database } = config.localDb
  const isSuperuser = authUser === undefined || authUser === username
  const lookup: PoolAuth['lookup'] = {
    user: authUser ?? username,
    // Another's password stands in the list of users.
    ...(isSuperuser ? { password } : {}),
    database: authDbname ?? database,
    query: authQuery,
  }
  return {
    ...pool,
    listenAddr: pool.listenAddr ?? config.router.listenHost,
    maxClientConn: maxClientConn ?? config.router.maxClientConnections,
    adminUsers: [...new Set([username, ...pool.adminUsers])],
    auth: {
      type: authType,
      ...(authFile === undefined ? {} : { file: authFile }),
      ...(authQuery === NO_LOOKUP ? {} : { lookup }),
    },
  }
}
