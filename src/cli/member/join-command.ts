import { ClientError, createClient, type JoinAnswer, type JoinDocument, type JoinRequest } from '#client'
import type { NodeConfig } from '../../config/node-config.ts'
import {
  joinAnswerContext,
  joinProofContext,
  parseJoinToken,
  type JoinToken,
} from '../../model/join-token.ts'
import { join as joinPath, readFileSync, resolve } from '../../platform/disk.ts'
import { hmacSha256, unseal } from '../../platform/hash.ts'
import { createHttpExchange } from '../../platform/http-client.ts'
import { findDatabaseUser } from '../../platform/os-user.ts'
import { randomHex } from '../../platform/random.ts'
import { messageOf } from '../../std/fault.ts'
import { visibleText } from '../../std/visible-text.ts'
import { CommandFailure, EXIT } from '../command-failure.ts'
import { readConfig } from '../read-config.ts'
import { plainReport, printReport, type Format } from '../report.ts'
import { startCommands } from '../setup/init-command.ts'
import { NODE_FILE, nodeFiles, type ClusterPlan, type PlannedFile } from '../setup/node-files.ts'
import { CONFIG_FOLDER, validateFiles } from '../setup/validate-files.ts'
import { refuseToOverwrite, writeFiles } from '../setup/write-files.ts'
import type { World } from '../world.ts'
import { refuseToJoin, writeJoined } from './joined-state.ts'

export type JoinOptions = {
  readonly urls: readonly string[]
  readonly token: string
  /** PEM file of the authority that signs the members' certificates. */
  readonly ca?: string | undefined
  /** The config of a node that had one; absent: it is written. */
  readonly config?: string | undefined
  readonly out: string
  readonly dataDir: string
  /** This node is to vote and to have no database. */
  readonly witness?: true | undefined
  readonly format: Format
}

const ANSWER_MS = 15_000
const BINARY_ID_BYTES = 16

/** Where this node keeps what is its own. */
type Place = { readonly stateDir: string; readonly dataDir: string | undefined }

/**
 * Makes this host a member of a cluster that invited it: proves the token to one of the members, and writes what comes back. The
 * agent that is started then begins as a learner and is made a voter by the others.
 */
export async function joinCluster(options: JoinOptions, world: World): Promise<void> {
  const token = parseJoinToken(options.token)
  if (!token) {
    throw new CommandFailure(
      EXIT.wrongUsage,
      'Cannot read the token: wanted the one that "pg-metako member add" printed',
    )
  }
  const known = options.config === undefined ? undefined : await readOwnConfig(options.config, world)
  const out = resolve(world.cwd, options.out)
  const dataDir = resolve(world.cwd, options.dataDir)
  const place: Place = known
    ? { stateDir: known.paths.stateDir, dataDir: known.postgresql.dataDir }
    : { stateDir: `${dataDir}.metako`, dataDir }
  // Order: whatever can be refused is, before the invitation is used up.
  refuseToJoin(place)
  if (!known) refuseFolder(out)
  const incarnation = randomHex(BINARY_ID_BYTES)
  const document = await ask(token, incarnation, options)
  // The host of a witness need not have one: what is printed next says whom the files are given to.
  const owner = options.witness ? undefined : findDatabaseUser({ configured: known?.postgresql.osUser })
  if (known) refuseOther(known, document)
  else {
    const files = filesOf(document, options, dataDir)
    await validateFiles(files)
    writeFiles(out, files, owner)
  }
  writeJoined(place.stateDir, { document, incarnation, owner })
  say({ document, options, out, place }, world)
}

async function readOwnConfig(path: string, world: World): Promise<NodeConfig> {
  const loaded = await readConfig(path, world)
  if (loaded.kind === 'ok') return loaded.config
  const first = loaded.problems.find(({ severity }) => severity === 'error')
  throw new CommandFailure(
    EXIT.wrongUsage,
    `Cannot use ${path}: ${first?.rule ?? 'it has problems'}`,
    `See all of it with: pg-metako --config ${path} --validate; without --config the files are written anew`,
  )
}

function refuseFolder(out: string): void {
  const planned = [{ path: NODE_FILE, text: '', mode: 0 }]
  refuseToOverwrite(
    out,
    planned,
    `To keep the configuration that is there, add --config ${joinPath(out, NODE_FILE)}; else move it away, or name another folder with --out`,
  )
}

/** Proves the token to one member after the other, always with the same words: whoever took it in answers again. */
async function ask(token: JoinToken, incarnation: string, options: JoinOptions): Promise<JoinDocument> {
  const words = { invitation: token.invitation, nonce: randomHex(BINARY_ID_BYTES), incarnation }
  const proof = hmacSha256(token.secret, joinProofContext(words)).toString('hex')
  const request: JoinRequest = { ...words, proof }
  const transport = createHttpExchange({ ca: readCa(options.ca) })
  const failures: string[] = []
  for (const url of options.urls) {
    try {
      const answer = await createClient({ url, timeoutMs: ANSWER_MS, transport }).join(request)
      return readAnswer(token, { request, answer, url })
    } catch (error) {
      if (!(error instanceof ClientError) || error.kind === 'refused') throw error
      failures.push(error.message)
    }
  }
  throw new CommandFailure(
    EXIT.unreachable,
    `Cannot reach a member to join: ${failures.join('; ')}`,
    'Can this host reach the API ports of the others? See "pg-metako member list" there: if this node is in it, remove it before you add it again',
  )
}

function readAnswer(
  token: JoinToken,
  about: { readonly request: JoinRequest; readonly answer: JoinAnswer; readonly url: string },
): JoinDocument {
  const { request, answer, url } = about
  const text = unseal(token.secret, joinAnswerContext(request, answer.nonce), answer.sealed)
  if (text === undefined) {
    throw new CommandFailure(
      EXIT.failed,
      `Cannot trust the answer of ${url}: it was not made by a member of the cluster that invited this node`,
    )
  }
  const document = JSON.parse(text) as Omit<JoinDocument, 'format'> & { readonly format: number }
  if (document.format !== 1) {
    throw new CommandFailure(
      EXIT.failed,
      `Cannot use the answer of ${url}: it has format ${document.format}, this program reads 1`,
      'Install the version here that the members run',
    )
  }
  return document as JoinDocument
}

function readCa(file: string | undefined): string | undefined {
  if (file === undefined) return undefined
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new CommandFailure(EXIT.wrongUsage, `Cannot read --ca: ${messageOf(error)}`)
  }
}

/** A config that is kept must be of the very node and cluster that were invited. */
function refuseOther(config: NodeConfig, document: JoinDocument): void {
  const compared = [
    ['identity.node_name', config.identity.nodeName, document.name],
    ['cluster.scope', config.scope, document.scope],
    ['cluster.namespace', config.namespace, document.namespace],
  ] as const
  for (const [key, own, wanted] of compared) {
    if (own === wanted) continue
    throw new CommandFailure(
      EXIT.failed,
      `Cannot join with this configuration: ${key} is "${visibleText(own)}", the cluster invited "${visibleText(wanted)}"`,
      'Correct the file; the token stays good for this, on a member: pg-metako member remove and add make another one',
    )
  }
  const { clusterSecret } = config.security
  if (clusterSecret === undefined || clusterSecret === document.secrets.clusterSecret) return
  throw new CommandFailure(
    EXIT.failed,
    'Cannot join with this configuration: security.cluster_secret is another one than the cluster has',
    'Copy the secret from a member, or leave --config out to have the files written',
  )
}

function filesOf(document: JoinDocument, { witness }: JoinOptions, dataDir: string): readonly PlannedFile[] {
  const { secrets } = document
  const nodes = document.registry.nodes.map(({ name, apiHost, apiPort }) => ({
    name,
    host: apiHost,
    port: apiPort,
    ...(witness && name === document.name ? { isWitness: true as const } : {}),
  }))
  const plan: ClusterPlan = {
    scope: document.scope,
    namespace: document.namespace,
    nodes,
    username: document.database.username,
    databasePort: document.database.port,
    dataDir,
    tls: document.tls,
    sections: document.sections,
  }
  const own = nodes.find(({ name }) => name === document.name)
  if (!own) {
    throw new CommandFailure(
      EXIT.failed,
      `Cannot join: the members do not know "${visibleText(document.name)}" any more`,
    )
  }
  return nodeFiles(own, plan, {
    configFolder: CONFIG_FOLDER,
    secrets: {
      'postgres-password': secrets.superuserPassword,
      'cluster-secret': secrets.clusterSecret,
      ...(secrets.apiToken === undefined ? {} : { 'api-token': secrets.apiToken }),
      ...(secrets.replicationPassword === undefined
        ? {}
        : { 'replication-password': secrets.replicationPassword }),
    },
  })
}

function say(
  done: { document: JoinDocument; options: JoinOptions; out: string; place: Place },
  world: World,
): void {
  const { document, options, out, place } = done
  const config = options.config ?? joinPath(out, NODE_FILE)
  const others = document.registry.nodes.map(({ name }) => name).filter((name) => name !== document.name)
  const next =
    options.config === undefined
      ? [
          ...(document.tls ? [`# put node.crt, node.key and ca.crt into ${joinPath(out, 'tls')}`] : []),
          ...startCommands(config, options.witness),
        ]
      : ['systemctl restart pg-metako', `# or: pg-metako --config ${config}`]
  if (options.format !== 'pretty') {
    const data = {
      name: document.name,
      cluster: document.scope,
      members: others,
      config,
      stateDir: place.stateDir,
      next,
    }
    const rows = [
      ['name', 'cluster', 'config', 'state_dir'],
      [document.name, document.scope, config, place.stateDir],
    ]
    return printReport(plainReport(data, rows), options.format, world)
  }
  const name = visibleText(document.name)
  world.stdout.write(
    [
      `${name} is a member of "${visibleText(document.scope)}", with ${visibleText(others.join(', '), 1_000)}.`,
      options.config === undefined ? `Wrote ${out}.` : `Kept ${options.config}.`,
      'Next:',
      ...next.map((line) => `  ${line}`),
      '',
    ].join('\n'),
  )
}
