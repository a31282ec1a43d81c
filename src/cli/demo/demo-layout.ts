import { join } from '../../platform/disk.ts'

/** Where a node listens; everything on 127.0.0.1. */
export type DemoPorts = {
  readonly api: number
  readonly primary: number
  readonly replica: number
  readonly pooled: number
  readonly postgres: number
}

/** One node of the demo: what its config file says, and where the file is. */
export type DemoNode = {
  readonly name: string
  readonly ports: DemoPorts
  readonly api: string
  readonly folder: string
  readonly configFile: string
  readonly logFile: string
  readonly stateDir: string
  readonly dataDir: string
  readonly runDir: string
}

/** Folders of one demo. `dataRoot` and `runRoot` may lie outside of `root`, where the database user can go. */
export type DemoFolders = { readonly root: string; readonly dataRoot: string; readonly runRoot: string }

export const DEMO_HOST = '127.0.0.1'
export const DEMO_SCOPE = 'demo'
/** Made at the first start. */
export const DEMO_APPLICATION = { user: 'app', database: 'app' } as const
export const NODE_COUNTS = [1, 3, 5] as const
export const NODE_COUNT_DEFAULT = 3

/** The highest port of five nodes is 6832. */
export const PORT_BASE_MAX = 65_535 - 6_832

const PORTS_OF_FIRST: DemoPorts = { api: 8008, primary: 5433, replica: 5434, pooled: 6432, postgres: 5441 }
const ROUTER_PORT_STEP = 100

/** The fixed ports of node `number` (from 1), each raised by `portBase`. */
export function portsOf(number: number, portBase: number): DemoPorts {
  const index = number - 1
  const router = portBase + ROUTER_PORT_STEP * index
  return {
    api: PORTS_OF_FIRST.api + portBase + index,
    primary: PORTS_OF_FIRST.primary + router,
    replica: PORTS_OF_FIRST.replica + router,
    pooled: PORTS_OF_FIRST.pooled + router,
    postgres: PORTS_OF_FIRST.postgres + portBase + index,
  }
}

export function demoNodes(options: {
  readonly count: number
  readonly portBase: number
  readonly folders: DemoFolders
}): readonly DemoNode[] {
  const { root, dataRoot, runRoot } = options.folders
  return Array.from({ length: options.count }, (_, index) => {
    const name = `node${index + 1}`
    const ports = portsOf(index + 1, options.portBase)
    const folder = join(root, name)
    return {
      name,
      ports,
      api: `http://${DEMO_HOST}:${ports.api}/`,
      folder,
      configFile: join(folder, 'config.yaml'),
      logFile: join(folder, 'agent.log'),
      stateDir: join(folder, 'state'),
      dataDir: join(dataRoot, name, 'data'),
      runDir: join(runRoot, name, 'run'),
    }
  })
}

/** What an application connects to: the router of the first node. */
export type DemoConnections = { readonly primary: string; readonly replica: string; readonly pooled: string }

export function connectionsOf(node: DemoNode, password: string): DemoConnections {
  const { user, database } = DEMO_APPLICATION
  const to = (port: number) =>
    `postgresql://${user}:${encodeURIComponent(password)}@${DEMO_HOST}:${port}/${database}`
  return { primary: to(node.ports.primary), replica: to(node.ports.replica), pooled: to(node.ports.pooled) }
}
