import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { configText, type DemoSecretFiles } from '../../src/cli/demo/demo-config.ts'
import { makeNodeFolders } from '../../src/cli/demo/demo-folders.ts'
import { readSecret } from '../../src/cli/demo/demo-secrets.ts'
import { postmasterOf, processesOf } from '../../src/cli/demo/node-processes.ts'
import { stopNodes } from '../../src/cli/demo/stop-nodes.ts'
import { findDatabaseUser } from '../../src/platform/os-user.ts'
import { randomSecret } from '../../src/platform/random.ts'
import { makeDatabaseFolder } from './database-folder.ts'
import { freePorts } from './free-ports.ts'
import { PROGRAM, spawnLogged, type Machines, type TestNode } from './machines.ts'
import type { Mode } from './replication-mode.ts'

const HOST = '127.0.0.1'
const PORTS_PER_NODE = 5

/** Agents on 127.0.0.1 with config files like the demo's, each port from a free block. */
export async function loopbackMachines(options: {
  readonly count: number
  /** Nodes with a config of their own that the others do not know: for tests in which one joins. */
  readonly spare?: number
  /** The last one votes and has no database. */
  readonly witness?: true
  /** PostgreSQL's programs; absent: whatever the agent finds. */
  readonly binDir?: string | undefined
  /** How commits wait for standbys; absent: as the product does it by default. */
  readonly mode?: Mode
  /** What a test's config files say beside that, by the name of the node. */
  readonly configure?: (text: string, node: string) => string
}): Promise<Machines> {
  const user = findDatabaseUser({})
  const root = makeDatabaseFolder('metako-it-')
  const count = options.count + (options.spare ?? 0)
  const block = await freePorts(HOST, count * PORTS_PER_NODE)
  const all = Array.from({ length: count }, (_, index) => nodeIn(root, index, block))
  const nodes = all.slice(0, options.count)
  const secrets = writeSecrets(join(root, 'secrets'))
  const { configure = (text) => text } = options
  const witness = options.witness ? nodes.at(-1)?.name : undefined
  const modeText = options.mode === undefined ? '' : `replication: { mode: ${options.mode} }\n`
  for (const node of all) {
    makeNodeFolders(node, { root, dataRoot: root, runRoot: root }, user)
    const listed = nodes.includes(node) ? nodes : [...nodes, node]
    const written = configText(node, { nodes: listed, secrets: secrets.files })
    const text = withBinDir(asWitness(written, witness, node.name), options.binDir)
    writeFileSync(node.configFile, configure(text + modeText, node.name), { mode: 0o644 })
  }
  return {
    nodes: nodes.map((node) =>
      node.name === witness ? { ...node, ports: { ...node.ports, primary: 0 } } : node,
    ),
    spares: all.slice(options.count),
    appPassword: secrets.appPassword,
    apiToken: () => readSecret(secrets.files.apiToken),
    ...handsOn(all, root, witness),
  }
}

/** As people would write it into files that differ in the name of the node alone: the rest of the file stays. */
function asWitness(text: string, witness: string | undefined, node: string): string {
  if (witness === undefined) return text
  const entry = new RegExp(`(- node_name: ${witness}\\n.*\\n.*\\n {4}role: )standby`)
  const listed = text.replace(entry, '$1witness')
  return node === witness ? listed.replace(/^ {2}role: standby$/m, '  role: witness') : listed
}

/** Runs and ends the nodes of this machine whose files lie below `root`, which goes with them. */
export function handsOn(
  nodes: readonly TestNode[],
  root: string,
  witness?: string,
): Pick<Machines, 'spawnAgent' | 'processesOf' | 'postmasterOf' | 'dispose'> {
  return {
    spawnAgent: (node) =>
      spawnLogged(
        [
          process.execPath,
          PROGRAM,
          ...(node.name === witness ? ['witness'] : []),
          '--config',
          node.configFile,
        ],
        { logFile: node.logFile, cwd: node.folder },
      ),
    processesOf,
    postmasterOf,
    dispose: async () => {
      const now = new AbortController()
      now.abort()
      await stopNodes(nodes, now.signal)
      rmSync(root, { recursive: true, force: true, maxRetries: 3 })
    },
  }
}

function nodeIn(root: string, index: number, block: number): TestNode {
  const name = `node${index + 1}`
  const port = block + index * PORTS_PER_NODE
  const folder = join(root, name)
  return {
    name,
    host: HOST,
    ports: { api: port, primary: port + 1, replica: port + 2, pooled: port + 3, postgres: port + 4 },
    api: `http://${HOST}:${port}/`,
    folder,
    configFile: join(folder, 'config.yaml'),
    logFile: join(folder, 'agent.log'),
    stateDir: join(folder, 'state'),
    dataDir: join(folder, 'data'),
    runDir: join(folder, 'run'),
  }
}

/** Small settings: three instances of a test share a machine with others. */
function withBinDir(text: string, binDir: string | undefined): string {
  const lines = [
    ...(binDir === undefined ? [] : [`  bin_dir: ${JSON.stringify(binDir)}`]),
    '  parameters:',
    '    shared_buffers: 16MB',
    '    max_connections: 50',
  ]
  return text.replace('postgresql:\n', `postgresql:\n${lines.join('\n')}\n`)
}

export function writeSecrets(folder: string): {
  readonly files: DemoSecretFiles
  readonly appPassword: string
} {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const write = (name: string) => {
    const file = join(folder, name)
    const secret = randomSecret(18)
    writeFileSync(file, `${secret}\n`, { mode: 0o600 })
    return { file, secret }
  }
  const app = write('app-password')
  return {
    files: {
      superuserPassword: write('postgres-password').file,
      appPassword: app.file,
      clusterSecret: write('cluster-secret').file,
      apiToken: write('api-token').file,
    },
    appPassword: app.secret,
  }
}
