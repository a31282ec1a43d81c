import type { NodeConfig } from '../config/node-config.ts'
import { existsSync, join, readFileSync } from '../platform/disk.ts'
import type { ClientTls } from '../platform/http-client.ts'
import { codeOf } from '../std/fault.ts'
import { CommandFailure, EXIT } from './command-failure.ts'
import { DEMO_APPLICATION } from './demo/demo-layout.ts'
import { readDemoState, supervisorOf } from './demo/demo-state.ts'
import { knownMembers } from './known-members.ts'
import { readConfig } from './read-config.ts'
import type { World } from './world.ts'

/** One agent's API as a command may call it. */
export type Endpoint = {
  readonly url: string
  /** Absent: may be asked, but not told to change anything. */
  readonly token?: string
  /** Absent: as the system has it. */
  readonly tls?: ClientTls
}

/** Whom an application logs in as, and where. */
export type Application = { readonly user: string; readonly database: string }

export type Endpoints = {
  /** Never empty. The own node first, where one is known. */
  readonly list: readonly Endpoint[]
  /** Where they come from, for errors. */
  readonly source: string
  /** Why there is no token, where one was looked for. */
  readonly tokenProblem?: string
  /** The first database that the cluster began with, and its owner; absent where nobody here knows. */
  readonly application?: Application
}

export type EndpointOptions = {
  readonly url?: string | undefined
  readonly token?: string | undefined
  readonly config?: string | undefined
  /** Whose certificate an API shows does not matter. */
  readonly isInsecure?: boolean | undefined
}

export const CONFIG_PATH_DEFAULT = 'configs/config.yaml'
const DEMO_FOLDER = '.pg-metako'

/** Who can be asked about the cluster: what the command line names, else the environment, the demo here, the usual file. */
export async function findEndpoints(options: EndpointOptions, world: World): Promise<Endpoints> {
  const token = options.token ?? (world.env['PG_METAKO_TOKEN'] || undefined)
  const isInsecure = options.isInsecure === true
  if (options.url !== undefined) return fromUrls(options.url, { token, source: '--url' })
  if (options.config !== undefined) return await fromConfig(options.config, { token, world, isInsecure })
  const url = world.env['PG_METAKO_URL']
  if (url) return fromUrls(url, { token, source: 'PG_METAKO_URL' })
  const path = join(world.cwd, CONFIG_PATH_DEFAULT)
  const demo = fromDemo(join(world.cwd, DEMO_FOLDER), { token, evenIfStopped: !existsSync(path) })
  if (demo) return demo
  if (existsSync(path)) return await fromConfig(CONFIG_PATH_DEFAULT, { token, world, isInsecure })
  throw new CommandFailure(
    EXIT.wrongUsage,
    `Cannot find a cluster: no --url, no --config, no PG_METAKO_URL, no demo in ${world.cwd} and no ${CONFIG_PATH_DEFAULT}`,
    'Name one: pg-metako list --config /etc/pg-metako/config.yaml, or --url http://HOST:8008',
  )
}

function fromUrls(text: string, about: { token: string | undefined; source: string }): Endpoints {
  const urls = text.split(',').map((url) => url.trim())
  for (const url of urls) refuseBadUrl(url, about.source)
  return {
    list: urls.map((url) => ({ url, ...optionalToken(about.token) })),
    source: about.source,
    ...(about.token === undefined ? { tokenProblem: 'no --token and no PG_METAKO_TOKEN' } : {}),
  }
}

function refuseBadUrl(url: string, source: string): void {
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return
  throw new CommandFailure(
    EXIT.wrongUsage,
    `Cannot use "${url}" of ${source}: it is not a URL, wanted http://HOST:PORT`,
  )
}

async function fromConfig(
  path: string,
  about: { token: string | undefined; world: World; isInsecure: boolean },
): Promise<Endpoints> {
  const loaded = await readConfig(path, about.world)
  if (loaded.kind === 'refused') {
    const first = loaded.problems.find((problem) => problem.severity === 'error')
    throw new CommandFailure(
      EXIT.wrongUsage,
      `Cannot use ${path}${first && first.line > 0 ? ` line ${first.line}` : ''}: ${first?.rule ?? 'it has problems'}`,
      `See all of it with: pg-metako --config ${path} --validate`,
    )
  }
  const { config } = loaded
  const found = about.token === undefined ? tokenOf(config) : { token: about.token, shared: true }
  const tls = clientTlsOf(config, about.isInsecure)
  const [database] = config.bootstrap.databases
  const endpoint = (host: string, port: number, token: string | undefined): Endpoint => ({
    url: `${config.security.tlsEnabled ? 'https' : 'http'}://${bracketed(host)}:${port}`,
    ...optionalToken(token),
    ...(tls === undefined ? {} : { tls }),
  })
  return {
    list: [
      endpoint(reachableHost(config), config.identity.apiPort, found.token),
      ...knownMembers(config).map((member) =>
        // A token from this node's state folder opens this node alone.
        endpoint(member.apiHost, member.apiPort, found.shared ? found.token : undefined),
      ),
    ],
    source: path,
    ...(database === undefined ? {} : { application: { user: database.owner, database: database.name } }),
    ...(found.problem === undefined ? {} : { tokenProblem: found.problem }),
  }
}

/** Where this node itself is reached from this host: a wildcard is no address. */
function reachableHost({ identity }: NodeConfig): string {
  if (identity.apiHost === '0.0.0.0') return '127.0.0.1'
  return identity.apiHost === '::' ? '::1' : identity.apiHost
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

function tokenOf(config: NodeConfig): { token?: string; shared: boolean; problem?: string } {
  if (config.security.apiToken !== undefined) return { token: config.security.apiToken, shared: true }
  const file = join(config.paths.stateDir, 'token')
  try {
    return { token: readFileSync(file, 'utf8').trim(), shared: false }
  } catch (error) {
    const why = codeOf(error) === 'ENOENT' ? 'the agent has not made it yet' : (codeOf(error) ?? 'unreadable')
    return { shared: false, problem: `cannot read ${file}: ${why}` }
  }
}

function clientTlsOf({ security, ctl }: NodeConfig, isInsecure: boolean): ClientTls | undefined {
  if (!security.tlsEnabled) return undefined
  const { certFile = security.certFile, keyFile = security.keyFile } = ctl
  return {
    ca: readIfPossible(ctl.caFile ?? security.caFile ?? security.certFile),
    cert: readIfPossible(certFile),
    key: readIfPossible(keyFile),
    isInsecure: isInsecure || ctl.isInsecure,
  }
}

/** Who may not read a key shows no certificate: only an API that asks for one refuses that. */
function readIfPossible(file: string | undefined): string | undefined {
  try {
    return file === undefined ? undefined : readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

function fromDemo(
  folder: string,
  about: { token: string | undefined; evenIfStopped: boolean },
): Endpoints | undefined {
  const state = readDemoState(folder)
  if (!state || (!about.evenIfStopped && !supervisorOf(state))) return undefined
  const token = about.token ?? readToken(state.tokenFile)
  return {
    list: state.nodes.map((node) => ({ url: node.api, ...optionalToken(token) })),
    source: `the demo in ${folder}`,
    application: DEMO_APPLICATION,
    ...(token === undefined ? { tokenProblem: `cannot read ${state.tokenFile}` } : {}),
  }
}

function readToken(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim() || undefined
  } catch {
    return undefined
  }
}

function optionalToken(token: string | undefined): { token?: string } {
  return token === undefined ? {} : { token }
}
