import type { Socket } from '../../platform/net.ts'
import type { PortName } from '../port-counters.ts'
import { listenOn, type InheritedListener, type PortListener } from './port-listener.ts'

export const PORT_NAMES: readonly PortName[] = ['primary', 'replica', 'pooled']

export type ListenPorts = Readonly<Record<PortName, number>>

/** Ports that another process listens on as well, until it ends. */
export type InheritedPorts = ReadonlyMap<PortName, InheritedListener>

export type RouterPorts = {
  readonly listenHost: string
  readonly pooledHost?: string
  readonly ports: ListenPorts
}

/** Listens on all ports or on none. Throws as `listenOn`. */
export async function openPorts(
  options: RouterPorts,
  how: { readonly retryForMs: number; readonly isForOthers: boolean; readonly inherited?: InheritedPorts },
  onClient: (port: PortName, socket: Socket) => void,
): Promise<PortListener[]> {
  const listeners: PortListener[] = []
  const { isForOthers, retryForMs, inherited } = how
  try {
    for (const name of PORT_NAMES) {
      const host = (name === 'pooled' ? options.pooledHost : undefined) ?? options.listenHost
      const onSocket = (socket: Socket): void => onClient(name, socket)
      const own = inherited?.get(name)
      // One that the configuration has moved meanwhile is of no use.
      if (own && own.port !== options.ports[name]) own.close()
      else if (own) own.attach(onSocket)
      const isOwn = own?.port === options.ports[name]
      const address = { host, port: options.ports[name], retryForMs }
      listeners.push(isOwn ? own : await listenOn(address, onSocket, { isForOthers }))
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
