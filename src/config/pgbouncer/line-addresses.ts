import { isLoopback } from '../cluster-checks.ts'
import { clusterKeys, memberFields, membersKey } from '../keys/cluster-keys.ts'
import { poolLists } from '../keys/pool-keys.ts'
import { runtimeKeys } from '../keys/runtime-keys.ts'
import type { Settings } from '../settings.ts'

/** What leads to this cluster, as far as the config knows. */
export type ClusterAddresses = {
  readonly hosts: ReadonlySet<string>
  readonly ports: ReadonlySet<number>
  /** `host` or `host:port`, said by the operator. */
  readonly listed: ReadonlySet<string>
}

export function clusterAddresses(settings: Settings): ClusterAddresses {
  const { dbHost, apiHost, advertiseHost, dbPort } = clusterKeys
  const members = settings.records(membersKey).map((member) => member.get(memberFields.apiHost))
  const own = [dbHost, apiHost, advertiseHost].map((key) => settings.get(key))
  const names = [...members, ...own].flatMap((name) => (name === undefined ? [] : [name.toLowerCase()]))
  return {
    hosts: new Set(names),
    // PostgreSQL itself, or the router in front of it.
    ports: new Set([settings.need(dbPort), settings.need(runtimeKeys.primaryPort)]),
    listed: new Set(settings.list(poolLists.clusterAddresses).map((address) => address.toLowerCase())),
  }
}

/** The first of a line's hosts that is none of the cluster's. No host, or one that is a folder, is a Unix socket of this node. */
export function strangeAddress(hosts: string, port: string, known: ClusterAddresses): string | undefined {
  for (const host of hosts.split(',').map((name) => name.trim().toLowerCase())) {
    const isLocal = host === '' || host.startsWith('/') || host.startsWith('@') || isLoopback(host)
    const isOurs = (isLocal || known.hosts.has(host)) && known.ports.has(Number(port))
    const address = `${host === '' ? 'localhost' : host}:${port}`
    if (!isOurs && !known.listed.has(address) && !known.listed.has(host)) return address
  }
  return undefined
}
