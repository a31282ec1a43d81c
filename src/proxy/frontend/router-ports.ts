import type { Server, Socket } from '../../platform/net.ts'
import type { PortName } from '../port-counters.ts'
import { listenOn, type PortListener } from './port-listener.ts'

export const PORT_NAMES: readonly PortName[] = ['primary', 'replica', 'pooled']

export type ListenPorts = Readonly<Record<PortName, number>>

/** A port that another process listens on as well, until it ends. */
export type InheritedPorts = ReadonlyMap<PortName, Server>

export type RouterPorts = {
  readonly listenHost: string
  readonly pooledHost?: string
  readonly ports: ListenPorts
}

/** Listens on all ports or on none. Throws as `listenOn`. */
export async function openPorts(
  options: RouterPorts,
  how: { readonly retryForMs: number; readonly isForOthers?: boolean; readonly inherited?: InheritedPorts },
  onClient: (port: PortName, socket: Socket) => void,
): Promise<PortListener[]> {
  const listeners: PortListener[] = []
  try {
    for (const name of PORT_NAMES) {
      const host = (name === 'pooled' ? options.pooledHost : undefined) ?? options.listenHost
      const address = { host, port: options.ports[name], retryForMs: how.retryForMs }
      const { isForOthers = false } = how
      const inherited = how.inherited?.get(name)
      const onSocket = (socket: Socket): void => onClient(name, socket)
      listeners.push(await listenOn(address, onSocket, { isForOthers, inherited }))
    }
  } catch (error) {
    for (const listener of listeners) listener.close()
    throw error
  }
  return listeners
}

export function portsOf(listeners: readonly PortListener[]): ListenPorts {
  const [primary = 0, replica = 0, pooled = 0] = listeners.map(({ port }) => port)
  return { primary, replica, pooled }
}
