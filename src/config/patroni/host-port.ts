import type { Place } from '../problem.ts'

export type HostPort = { readonly host: string; readonly port?: string; readonly place: Place }

/** `10.0.0.1:8008`, `[::1]:8008`, `0.0.0.0,::1:5432`, or a host alone, as Patroni splits them: at the last colon. */
export function parseHostPort(text: string): Omit<HostPort, 'place'> | undefined {
  const written = text.trim()
  const parts = /^(?<host>.*):(?<port>\d+)$/.exec(written)
  // An IPv6 address without brackets has no port behind it, but for the one that means all addresses.
  const isBareIpv6 = /^[0-9a-f:]*:[0-9a-f:]*:[0-9a-f]*$/i.test(written) && !written.startsWith(':::')
  const isBare = parts === null || isBareIpv6
  const host = (isBare ? written : (parts.groups?.['host'] ?? '')).replaceAll(/[[\]]/g, '')
  const port = isBare ? undefined : parts.groups?.['port']
  if (host === '' || /[\s/]/.test(host)) return undefined
  return { host, ...(port === undefined ? {} : { port }) }
}
