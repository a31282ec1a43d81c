import { join, relative, resolve } from '../../platform/disk.ts'
import { randomSecret } from '../../platform/random.ts'
import { plainReport, printReport, type Format } from '../report.ts'
import type { World } from '../world.ts'
import { NODE_FILE, nodeFiles, UNIT_FILE, type ClusterPlan, type PlannedNode } from './node-files.ts'
import { parseNodes } from './parse-nodes.ts'
import { WITNESS_USER } from './unit-text.ts'
import { CONFIG_FOLDER, validateFiles } from './validate-files.ts'
import { refuseToOverwrite, writeFiles } from './write-files.ts'

export const DATA_DIR_DEFAULT = '/var/lib/pg-metako/data'
export const SCOPE_DEFAULT = 'main'
export const OUT_DEFAULT = 'pg-metako-config'

/** 192 bits each. */
const SECRET_BYTES = 24

export type InitOptions = {
  readonly nodes: string
  /** One more, that votes and has no database. */
  readonly witness?: string | undefined
  readonly scope: string
  readonly dataDir: string
  readonly out: string
  readonly format: Format
}

/** Writes everything that the hosts of a new cluster need, a folder for each, and says what comes next. */
export async function init(options: InitOptions, world: World): Promise<void> {
  const nodes = parseNodes(options.nodes, options.witness)
  const plan = newCluster(nodes, options)
  const out = resolve(world.cwd, options.out)
  const secrets = {
    'postgres-password': randomSecret(SECRET_BYTES),
    'cluster-secret': randomSecret(SECRET_BYTES),
    'api-token': randomSecret(SECRET_BYTES),
    'app-password': randomSecret(SECRET_BYTES),
  }
  const folders = nodes.map((node) => ({
    node,
    folder: join(out, node.name),
    files: nodeFiles(node, plan, { secrets, configFolder: CONFIG_FOLDER }),
  }))
  // Order: all of them are looked at before the first is written, so that a refusal leaves nothing half-made.
  for (const { folder, files } of folders) {
    refuseToOverwrite(folder, files, 'Name another folder with --out, or move the old one away')
  }
  for (const { files } of folders) await validateFiles(files)
  for (const { folder, files } of folders) writeFiles(folder, files)
  say({ nodes, out, scope: plan.scope, format: options.format }, world)
}

function newCluster(nodes: readonly PlannedNode[], options: InitOptions): ClusterPlan {
  const [first] = nodes
  return {
    scope: options.scope,
    nodes,
    ...(first ? { initialiser: first.name } : {}),
    username: 'postgres',
    databasePort: 5432,
    dataDir: options.dataDir,
    tls: false,
    sections: {
      postgresql: { parameters: { shared_buffers: '256MB', max_connections: '100' } },
      bootstrap: {
        users: { app: { password_file: 'secrets/app-password' } },
        databases: { app: { owner: 'app' } },
      },
      router: { primary_port: 5433, replica_port: 5434, pooled_port: 6432 },
    },
  }
}

function say(
  made: { nodes: readonly PlannedNode[]; out: string; scope: string; format: Format },
  world: World,
): void {
  const { nodes, out } = made
  const shown = relative(world.cwd, out) || '.'
  const next = nextCommands(nodes, shown)
  if (made.format !== 'pretty') {
    const rows = nodes.map(({ name, host, port }) => [name, host, port, join(out, name)])
    const data = {
      cluster: made.scope,
      nodes: nodes.map((node) => ({ ...node, folder: join(out, node.name) })),
      next,
    }
    const report = plainReport(data, [['node', 'host', 'api_port', 'folder'], ...rows])
    return printReport(report, made.format, world)
  }
  world.stdout.write(
    [
      `Wrote ${shown}: a folder for each of ${nodes.map(({ name }) => name).join(', ')}, with config, secrets and a systemd unit; all of it was checked.`,
      '',
      'Next, with this program installed on every host, and PostgreSQL where a database is:',
      ...next.map((line) => `  ${line}`),
      '',
    ].join('\n'),
  )
}

function nextCommands(nodes: readonly PlannedNode[], folder: string): readonly string[] {
  const config = `${CONFIG_FOLDER}/${NODE_FILE}`
  return [
    '# from here, for every node',
    ...nodes.map(({ name, host }) => `scp -r ${folder}/${name} root@${scpHost(host)}:${CONFIG_FOLDER}`),
    ...databases(nodes),
    ...startCommands(config),
    ...nodes
      .filter(({ isWitness }) => isWitness)
      .flatMap(({ name }) => [`# on ${name}, which has no database`, ...startCommands(config, true)]),
    '# on any node, when all are started',
    `pg-metako list --config ${config}`,
  ]
}

function databases(nodes: readonly PlannedNode[]): readonly string[] {
  const names = nodes.filter(({ isWitness }) => !isWitness).map(({ name }) => name)
  return [names.length === nodes.length ? '# on every node' : `# on ${names.join(' and ')}`]
}

/** What makes a node run that has its files in `/etc/pg-metako`. */
export function startCommands(config: string, isWitness = false): readonly string[] {
  const owner = isWitness ? WITNESS_USER : 'postgres'
  return [
    ...(isWitness ? [`useradd --system --shell /usr/sbin/nologin ${owner}`] : []),
    `chown -R ${owner}: ${CONFIG_FOLDER}`,
    `pg-metako --config ${config} --validate`,
    `mv ${CONFIG_FOLDER}/${UNIT_FILE} /etc/systemd/system/ && systemctl daemon-reload`,
    'systemctl enable --now pg-metako',
  ]
}

function scpHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
