import type { ServerDescription } from '../../model/server-description.ts'
import { existsSync, resolve } from '../../platform/disk.ts'
import { hostname, sourceAddressTowards } from '../../platform/net.ts'
import { randomSecret } from '../../platform/random.ts'
import { messageOf } from '../../std/fault.ts'
import { MiB } from '../../std/units.ts'
import { CommandFailure, EXIT } from '../command-failure.ts'
import { DATA_DIR_DEFAULT, SCOPE_DEFAULT } from '../setup/init-command.ts'
import { API_PORT_DEFAULT } from '../setup/parse-nodes.ts'
import { writeFiles } from '../setup/write-files.ts'
import type { World } from '../world.ts'
import { yamlText } from '../yaml-text.ts'
import { serverAddress } from './server-address.ts'

const SECRET_BYTES = 24
const SOCKET_FOLDERS = ['/run/postgresql', '/var/run/postgresql', '/tmp']
/** An address of documentation: whoever leads there is how this host is reached from beyond. Nothing is sent. */
const BEYOND = '192.0.2.1'
const ROUTE_MS = 500
const SCRAM = 'scram-sha-256'
/** Commands are for the host that they were written on. */
const OF_THIS_HOST = /_command$/

export type GenerateOptions = {
  /** Absent: standard output. */
  readonly file: string | undefined
  readonly dsn?: string | undefined
}

/** Writes a configuration in Patroni's form with which a node starts as it is. */
export async function generateSampleConfig({ file }: GenerateOptions, world: World): Promise<void> {
  await put(file, textOf(await sampleTree(), NOTES), world)
}

/** The same with what a running PostgreSQL has set. */
export async function generateConfig({ file, dsn }: GenerateOptions, world: World): Promise<void> {
  const socketFolder = SOCKET_FOLDERS.find((folder) => existsSync(`${folder}/.s.PGSQL.5432`))
  const address = serverAddress(dsn, world.env, socketFolder)
  let found: ServerDescription
  try {
    found = await world.describeServer(address)
  } catch (error) {
    throw new CommandFailure(
      EXIT.unreachable,
      `Cannot describe PostgreSQL at ${address.host}:${address.port}: ${messageOf(error)}`,
      'Name it by --dsn, as a superuser: --dsn "host=/run/postgresql user=postgres"',
    )
  }
  const tree = likeServer(await sampleTree(), found, address)
  await put(file, textOf(tree, [...NOTES, ...notesOn(found)]), world)
}

type PatroniTree = Awaited<ReturnType<typeof sampleTree>>

const NOTES = [
  'Written by pg-metako, in the form of Patroni. Check it with: pg-metako --config FILE --validate-config',
  'As it is, this is a cluster of one node. For more: all of them in cluster_members, or etcd3: {hosts: …} in its place, and the same file',
  'on each node with its own name and addresses. Passwords are random, and the same on all nodes.',
]

function notesOn({ dataDir, left }: ServerDescription): readonly string[] {
  return [
    `The data directory ${dataDir} is not taken over: postgresql.data_dir is another, empty one, and the data comes by a dump or by logical replication.`,
    'The ports are those of the PostgreSQL that runs: stop that one first, or write another here.',
    ...left.map(({ name, reason }) => `${name} is left out: ${reason}`),
  ]
}

async function sampleTree() {
  const address = (await sourceAddressTowards(BEYOND, 9, ROUTE_MS)) ?? '127.0.0.1'
  const host = address.includes(':') ? `[${address}]` : address
  const name = hostname()
    .replaceAll(/[^A-Za-z0-9._-]/g, '-')
    .slice(0, 63)
  return {
    scope: SCOPE_DEFAULT,
    name,
    // Patroni reads neither of these two; where an etcd is named instead the first can go.
    cluster_members: [{ node_name: name, api_host: address, api_port: API_PORT_DEFAULT }],
    security: { cluster_secret: randomSecret(SECRET_BYTES) },
    restapi: {
      listen: `${host}:${API_PORT_DEFAULT}`,
      connect_address: `${host}:${API_PORT_DEFAULT}`,
      authentication: { username: 'admin', password: randomSecret(SECRET_BYTES) },
    },
    bootstrap: {
      dcs: {
        ttl: 30,
        maximum_lag_on_failover: MiB,
        postgresql: { parameters: {} as Readonly<Record<string, string>> },
      },
      initdb: ['data-checksums', { encoding: 'UTF8' }] as readonly unknown[],
    },
    postgresql: {
      listen: `${host}:5432`,
      connect_address: `${host}:5432`,
      data_dir: DATA_DIR_DEFAULT,
      bin_dir: undefined as string | undefined,
      authentication: {
        superuser: { username: 'postgres', password: randomSecret(SECRET_BYTES) },
        replication: { username: 'replicator', password: randomSecret(SECRET_BYTES) },
      },
      parameters: { password_encryption: SCRAM } as Readonly<Record<string, string>>,
      pg_hba: [`host all all all ${SCRAM}`, `host replication replicator all ${SCRAM}`] as readonly string[],
    },
  }
}

function likeServer(
  sample: PatroniTree,
  found: ServerDescription,
  { user, password }: { readonly user: string; readonly password: string },
): PatroniTree {
  const { dcs } = sample.bootstrap
  const some = (isShared: boolean) =>
    Object.fromEntries(
      Object.entries(found.parameters).filter(([name]) => OF_THIS_HOST.test(name) !== isShared),
    )
  const { superuser, replication } = sample.postgresql.authentication
  const [host = ''] = sample.postgresql.connect_address.split(/:\d+$/)
  return {
    ...sample,
    scope: found.clusterName === '' ? sample.scope : found.clusterName,
    bootstrap: {
      dcs: { ...dcs, postgresql: { parameters: some(true) } },
      initdb: [
        'data-checksums',
        { encoding: found.encoding },
        { 'wal-segsize': String(found.walSegmentBytes / MiB) },
      ],
    },
    postgresql: {
      ...sample.postgresql,
      listen: `${found.listenAddresses === '' ? '127.0.0.1' : found.listenAddresses}:${found.port}`,
      connect_address: `${host}:${found.port}`,
      data_dir: `${found.dataDir.replace(/\/+$/, '')}.new`,
      bin_dir: found.binDir,
      authentication: {
        superuser: { username: user, password: password === '' ? superuser.password : password },
        replication,
      },
      parameters: some(false),
      pg_hba: found.hba,
    },
  }
}

function textOf(tree: PatroniTree, notes: readonly string[]): string {
  return `${notes.map((note) => `# ${note}\n`).join('')}${yamlText(tree)}`
}

async function put(file: string | undefined, text: string, world: World): Promise<void> {
  if (file === undefined) return void world.stdout.write(text)
  const path = resolve(world.cwd, file)
  // It holds passwords; one that is there is nobody's to replace.
  writeFiles('/', [{ path: path.slice(1), text, mode: 0o600 }])
  world.stderr.write(`Written: ${path}\n`)
}
