import type { NodeConfig } from '../config/node-config.ts'
import { hostname, sourceAddressTowards } from '../platform/net.ts'

const WILDCARDS = new Set(['0.0.0.0', '::', '*', ''])
const ASK_MS = 500

export type OwnAddress = {
  readonly host: string
  readonly from: 'advertise_host' | 'api_host' | 'route' | 'hostname'
}

/**
 * Where others reach this node: `identity.advertise_host`, else `api_host` unless it is a wildcard, else the source
 * address that the kernel uses towards a peer, whether or not that peer is up. Without a way to any: this host's name.
 */
export async function findOwnAddress(config: NodeConfig): Promise<OwnAddress> {
  const { advertiseHost, apiHost } = config.identity
  if (advertiseHost !== undefined) return { host: advertiseHost, from: 'advertise_host' }
  if (!WILDCARDS.has(apiHost)) return { host: apiHost, from: 'api_host' }
  for (const { host, port } of placesBeyond(config)) {
    const address = await sourceAddressTowards(host, port, ASK_MS)
    if (address !== undefined) return { host: address, from: 'route' }
  }
  return { host: hostname(), from: 'hostname' }
}

/** Who is on the way to the other members: they themselves, or the etcd that all meet at. */
function placesBeyond({ members, etcd }: NodeConfig): readonly { host: string; port: number }[] {
  const peers = members.map(({ apiHost, apiPort }) => ({ host: apiHost, port: apiPort }))
  const endpoints = (etcd?.endpoints ?? []).map((endpoint) => {
    const { hostname: host, port } = new URL(endpoint)
    return { host: host.replaceAll(/^\[|\]$/g, ''), port: Number(port) }
  })
  return [...peers, ...endpoints]
}
