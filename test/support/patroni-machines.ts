import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeNodeFolders } from '../../src/cli/demo/demo-folders.ts'
import { findDatabaseUser } from '../../src/platform/os-user.ts'
import { makeDatabaseFolder } from './database-folder.ts'
import { freePorts } from './free-ports.ts'
import { handsOn } from './loopback-machines.ts'
import type { Machines, TestNode } from './machines.ts'
import { REPOSITORY_ROOT } from './repository-root.ts'

const HOST = '127.0.0.1'
const PORTS_PER_NODE = 2
const SEED = join(REPOSITORY_ROOT, 'test/fixtures/config/seeds/patroni.yml')

/** Agents on 127.0.0.1, each with the guide's `patroni.yml`, in which nothing but addresses and directories is another. */
export async function patroniMachines(options: {
  readonly count: number
  readonly binDir: string
  /** `host:port` of each member of an etcd. */
  readonly etcd: readonly string[]
  /** What a test changes beside that. */
  readonly configure?: (text: string) => string
}): Promise<Machines> {
  const user = findDatabaseUser({})
  const root = makeDatabaseFolder('metako-pt-')
  const block = await freePorts(HOST, options.count * PORTS_PER_NODE)
  const nodes = Array.from({ length: options.count }, (_, index) => nodeIn(root, index, block))
  const { configure = (text) => text } = options
  for (const node of nodes) {
    makeNodeFolders(node, { root, dataRoot: root, runRoot: root }, user)
    mkdirSync(node.folder, { recursive: true })
    writeFileSync(node.configFile, configure(adapted(readFileSync(SEED, 'utf8'), node, options)), {
      mode: 0o644,
    })
  }
  return {
    nodes,
    appPassword: 'admin_password_change_me',
    apiToken: (node) => readFileSync(join(node.stateDir, 'token'), 'utf8').trim(),
    ...handsOn(nodes, root),
  }
}

function adapted(
  seed: string,
  node: TestNode,
  { binDir, etcd }: { readonly binDir: string; readonly etcd: readonly string[] },
): string {
  return seed
    .replace('name: node1 ', `name: ${node.name} `)
    .replace('node1:2379', etcd.join(','))
    .replace('listen: 0.0.0.0:8008', `listen: 0.0.0.0:${node.ports.api}`)
    .replace('connect_address: node1:8008', `connect_address: ${HOST}:${node.ports.api}`)
    .replace('listen: 0.0.0.0:5432', `listen: 0.0.0.0:${node.ports.postgres}`)
    .replace('connect_address: node1:5432', `connect_address: ${HOST}:${node.ports.postgres}`)
    .replace('/var/lib/postgresql/14/main', node.dataDir)
    .replace('/usr/lib/postgresql/14/bin', binDir)
}

function nodeIn(root: string, index: number, block: number): TestNode {
  const name = `node${index + 1}`
  const port = block + index * PORTS_PER_NODE
  const folder = join(root, name)
  const dataDir = join(folder, 'data')
  return {
    name,
    host: HOST,
    // Patroni's form has no router.
    ports: { api: port, primary: 0, replica: 0, pooled: 0, postgres: port + 1 },
    api: `http://${HOST}:${port}/`,
    folder,
    configFile: join(folder, 'patroni.yml'),
    logFile: join(folder, 'agent.log'),
    stateDir: `${dataDir}.metako`,
    dataDir,
    runDir: `${dataDir}.metako/run`,
  }
}
