import { isPortFree, listenerOn, type Listener } from '../../platform/listening-port.ts'
import { Fault } from '../../std/fault.ts'
import { DEMO_HOST, PORT_BASE_MAX, type DemoNode, type DemoPorts } from './demo-layout.ts'

/** A port that the demo needs and somebody else has. */
type BusyPort = { readonly port: number; readonly use: string; readonly listener: Listener }

/** What the error proposes. */
const PORT_BASE_STEP = 10_000

const USES: Readonly<Record<keyof DemoPorts, string>> = {
  api: 'API',
  primary: 'router, primary',
  replica: 'router, replicas',
  pooled: 'router, pooled',
  postgres: 'PostgreSQL',
}

/**
 * Throws `DEMO_PORT_BUSY` when a port of the demo is taken: nothing moves silently to another port. `ours` are pids
 * that may have them, because they belong to this demo and are going to be adopted.
 */
export async function refuseBusyPorts(
  nodes: readonly DemoNode[],
  options: { readonly portBase: number; readonly ours: ReadonlySet<number> },
): Promise<void> {
  const busy: BusyPort[] = []
  for (const node of nodes) {
    for (const [kind, port] of Object.entries(node.ports) as [keyof DemoPorts, number][]) {
      if (await isPortFree(DEMO_HOST, port)) continue
      const listener = listenerOn(port) ?? {}
      if (listener.pid === undefined || !options.ours.has(listener.pid)) {
        busy.push({ port, use: `${USES[kind]} of ${node.name}`, listener })
      }
    }
  }
  if (busy.length > 0) throw busyPortsFault(busy, options.portBase)
}

/** The error that names port, process and the way out. */
function busyPortsFault(busy: readonly BusyPort[], portBase: number): Fault {
  const other = portBase + PORT_BASE_STEP <= PORT_BASE_MAX ? portBase + PORT_BASE_STEP : 0
  const lines = busy.map(
    ({ port, use, listener }) => `port ${port} (${use}) is used by ${describe(listener)}`,
  )
  return new Fault(
    'DEMO_PORT_BUSY',
    `Cannot start the demo: ${lines.join(';\n  ')}.\nStop that, or add --port-base ${other}: it raises every port of the demo by that number`,
    { details: { ports: busy.map(({ port }) => port) } },
  )
}

function describe(listener: Listener): string {
  if (listener.pid === undefined) return "a process of another user, or outside of this host's process list"
  return `process ${listener.pid}${listener.command === undefined ? '' : ` (${listener.command})`}`
}
