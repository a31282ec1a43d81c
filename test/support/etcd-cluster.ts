import { execFileSync, type ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHttpExchange } from '../../src/platform/http-client.ts'
import { eventually } from './eventually.ts'
import { freePorts } from './free-ports.ts'
import { spawnLogged } from './machines.ts'
import { testCertificate, testKey } from './tls-fixture.ts'

/** Members of a real etcd on loopback, each a process with a folder of its own. */
export type EtcdCluster = {
  readonly names: readonly string[]
  /** Of one member. */
  url(name: string): string
  pid(name: string): number
  start(name: string): void
  /** SIGKILL, and waits until it is gone. */
  kill(name: string): Promise<void>
  signal(name: string, signal: 'SIGSTOP' | 'SIGCONT'): void
  /** Waits for a member that the asked one takes for the leader. */
  leader(): Promise<string>
  /** Founds the cluster anew under the same addresses, without any data; with the same token it even has the same id. */
  refound(token: string): Promise<void>
  /** Calls the gateway of one member. */
  post(name: string, path: string, body: unknown): Promise<Readonly<Record<string, unknown>>>
  dispose(): Promise<void>
}

export type EtcdClusterOptions = {
  readonly count?: number
  /** An address of this machine's; absent: 127.0.0.1. */
  readonly host?: string
  /** Clients need a certificate of the test's authority. */
  readonly mutualTls?: boolean
  /** Heartbeats and elections as etcd comes, not as our tests want them. */
  readonly defaultTiming?: boolean
  /** More arguments for every member. */
  readonly args?: readonly string[]
}

/** Quick on loopback, and slow enough for a busy machine. */
const HEARTBEAT_MS = 50
const ELECTION_MS = 500
const LOOPBACK = '127.0.0.1'
export const FIRST_TOKEN = 'metako-test'

export function hasEtcd(): boolean {
  try {
    execFileSync('etcd', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

export async function startEtcdCluster(options: EtcdClusterOptions = {}): Promise<EtcdCluster> {
  const root = mkdtempSync(join(tmpdir(), 'metako-etcd-'))
  const names = Array.from({ length: options.count ?? 3 }, (_, index) => `etcd${index + 1}`)
  const host = options.host ?? LOOPBACK
  const block = await freePorts(host, 2 * names.length)
  const scheme = options.mutualTls ? 'https' : 'http'
  const url = (name: string) => `${scheme}://${host}:${block + names.indexOf(name)}`
  const peerUrl = (name: string) => `http://${host}:${block + names.length + names.indexOf(name)}`
  const tlsFiles = writeTlsFiles(root)
  const processes = new Map<string, ChildProcess>()
  let foundings = 1
  let token = FIRST_TOKEN
  const start = (name: string): void => {
    const folder = join(root, `${name}-${foundings}`)
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const settings: Readonly<Record<string, string | number>> = {
      name,
      'data-dir': join(folder, 'data'),
      'listen-client-urls': url(name),
      'advertise-client-urls': url(name),
      'listen-peer-urls': peerUrl(name),
      'initial-advertise-peer-urls': peerUrl(name),
      'initial-cluster': names.map((one) => `${one}=${peerUrl(one)}`).join(','),
      'initial-cluster-token': token,
      ...(options.defaultTiming
        ? {}
        : { 'heartbeat-interval': HEARTBEAT_MS, 'election-timeout': ELECTION_MS }),
      logger: 'zap',
      'log-level': 'warn',
      ...(options.mutualTls
        ? {
            'cert-file': tlsFiles.cert,
            'key-file': tlsFiles.key,
            'trusted-ca-file': tlsFiles.cert,
            'client-cert-auth': 'true',
          }
        : {}),
    }
    const args = Object.entries(settings).map(([key, value]) => `--${key}=${value}`)
    const logFile = join(root, `${name}.log`)
    processes.set(name, spawnLogged(['etcd', ...args, ...(options.args ?? [])], { logFile, cwd: root }))
  }
  const child = (name: string): ChildProcess => {
    const found = processes.get(name)
    if (found === undefined) throw new Error(`No etcd "${name}" was started`)
    return found
  }
  const kill = async (name: string): Promise<void> => {
    const one = child(name)
    if (one.exitCode !== null || one.signalCode !== null) return
    const gone = new Promise((resolve) => one.once('exit', resolve))
    one.kill('SIGKILL')
    await gone
  }
  const exchange = createHttpExchange()
  const post = async (name: string, path: string, body: unknown) => {
    const answer = await exchange({
      method: 'POST',
      url: url(name) + path,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(2000),
      maxBytes: 1_000_000,
    })
    if (answer.status !== 200) throw new Error(`${path}: HTTP ${answer.status} ${answer.body}`)
    return JSON.parse(answer.body) as Readonly<Record<string, unknown>>
  }
  const waitUntilUp = async (): Promise<void> => {
    // With mutual TLS only the logs tell.
    if (options.mutualTls) return
    for (const name of names) {
      await eventually(
        () => `etcd "${name}" answers:\n${readFileSync(join(root, `${name}.log`), 'utf8')}`,
        () =>
          post(name, '/v3/kv/range', { key: 'AA==' }).then(
            () => true,
            () => false,
          ),
        30_000,
      )
    }
  }
  for (const name of names) start(name)
  await waitUntilUp()
  return {
    names,
    url,
    pid: (name) => child(name).pid ?? 0,
    start,
    kill,
    signal: (name, signal) => void child(name).kill(signal),
    leader: () =>
      eventually('an etcd that knows its leader', async () => {
        for (const name of names) {
          const found = await leaderBy(post, name).catch(() => undefined)
          if (found !== undefined) return found
        }
        return undefined
      }),
    async refound(next) {
      await Promise.all(names.map(kill))
      token = next
      foundings += 1
      for (const name of names) start(name)
      await waitUntilUp()
    },
    post,
    async dispose() {
      for (const name of names) processes.get(name)?.kill('SIGCONT')
      await Promise.all(names.map(kill))
      rmSync(root, { recursive: true, force: true, maxRetries: 3 })
    },
  }
}

async function leaderBy(post: EtcdCluster['post'], name: string): Promise<string | undefined> {
  const { leader } = await post(name, '/v3/maintenance/status', {})
  const { members } = await post(name, '/v3/cluster/member/list', {})
  const all = members as readonly { readonly ID: string; readonly name?: string }[]
  return all.find(({ ID }) => ID === leader)?.name
}

function writeTlsFiles(root: string): { readonly cert: string; readonly key: string } {
  const files = { cert: join(root, 'cert.pem'), key: join(root, 'key.pem') }
  writeFileSync(files.cert, testCertificate)
  writeFileSync(files.key, testKey, { mode: 0o600 })
  return files
}
