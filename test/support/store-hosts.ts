import { execFileSync, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { foundRaftGroup } from '../../src/store/raft/storage.ts'
import { eventually } from './eventually.ts'
import { freePorts } from './free-ports.ts'
import { spawnLogged } from './machines.ts'
import { networkNamespaces, type NetworkNamespaces } from './network-namespaces.ts'
import { REPOSITORY_ROOT } from './repository-root.ts'
import { StoreHostClient } from './store-host-client.ts'
import type { StoreHostSetup } from './store-host-protocol.ts'

/** Members of one raft group, each a process: on loopback, or each in a network of its own. */
export type StoreHosts = {
  readonly names: readonly string[]
  /** A new connection for one client. */
  client(name: string): StoreHostClient
  pid(name: string): number
  /** Where it takes a request as JSON by POST; with the option `http`. */
  httpUrl(name: string): string
  start(name: string): void
  /** SIGKILL, and waits until it is gone. */
  kill(name: string): Promise<void>
  signal(name: string, signal: 'SIGSTOP' | 'SIGCONT'): void
  /** Only with networks of their own: whether what one sends arrives at the other. */
  setLink(from: string, to: string, isUp: boolean): void
  /** The member that a member with a quorum takes for the leader. */
  leader(): Promise<string>
  logs(): string
  dispose(): Promise<void>
}

/** For one build by the compiler. */
const BUILD_LIMIT_MS = 120_000
const PROGRAM = join(REPOSITORY_ROOT, '.build/test/support/store-host.js')

/** Node 20 does not run TypeScript: the program is built as the benches are. */
export function buildStoreHost(): void {
  const compiler = join(REPOSITORY_ROOT, 'node_modules/typescript/bin/tsc')
  execFileSync(process.execPath, [compiler, '-p', join(REPOSITORY_ROOT, 'tsconfig.tools.json')], {
    stdio: 'pipe',
    timeout: BUILD_LIMIT_MS,
  })
}

export async function startStoreHosts(options: {
  readonly networks: boolean
  readonly staleReads?: boolean
  readonly http?: boolean
  /** More arguments for Node. */
  readonly nodeArgs?: readonly string[]
}): Promise<StoreHosts> {
  const root = mkdtempSync(join(tmpdir(), 'metako-hosts-'))
  const names = ['n1', 'n2', 'n3']
  const networks: NetworkNamespaces | undefined = options.networks
    ? await networkNamespaces(names.length)
    : undefined
  const block = networks ? 7000 : await freePorts('127.0.0.1', 2 * names.length)
  const numberOf = (name: string) => names.indexOf(name) + 1
  const addressOf = (name: string) => networks?.address(numberOf(name)) ?? '127.0.0.1'
  const portOf = (name: string) => block + names.indexOf(name)
  const httpOf = (name: string) => ({ host: addressOf(name), port: portOf(name) + names.length })
  const socketOf = (name: string) => join(root, `${name}.sock`)
  const logOf = (name: string) => join(root, `${name}.log`)
  const processes = new Map<string, ChildProcess>()
  const start = (name: string): void => {
    const setup: StoreHostSetup = {
      self: name,
      folder: join(root, name),
      socket: socketOf(name),
      listen: { host: addressOf(name), port: portOf(name) },
      peers: names
        .filter((peer) => peer !== name)
        .map((peer) => ({ name: peer, host: addressOf(peer), port: portOf(peer) })),
      staleReads: options.staleReads ?? false,
      ...(options.http ? { http: httpOf(name) } : {}),
    }
    const enter = networks?.enter(numberOf(name)) ?? []
    const command = [...enter, process.execPath, ...(options.nodeArgs ?? []), PROGRAM, JSON.stringify(setup)]
    processes.set(name, spawnLogged(command, { logFile: logOf(name), cwd: root }))
  }
  const kill = async (name: string): Promise<void> => {
    const child = processes.get(name)
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
  }
  const voters = names.map((name) => ({ name, incarnation: `disk of ${name}` }))
  for (const name of names) foundRaftGroup(join(root, name), { groupId: 'test', voters })
  for (const name of names) start(name)
  const watchers = new Map(names.map((name) => [name, new StoreHostClient(socketOf(name))]))
  return {
    names,
    client: (name) => new StoreHostClient(socketOf(name)),
    pid: (name) => processes.get(name)?.pid ?? 0,
    httpUrl: (name) => `http://${httpOf(name).host}:${httpOf(name).port}/`,
    start,
    kill,
    signal: (name, signal) => void processes.get(name)?.kill(signal),
    setLink(from, to, isUp) {
      if (!networks) throw new Error('Cannot cut a link on loopback')
      networks.setLink(numberOf(from), numberOf(to), isUp)
    },
    leader: () =>
      eventually('a leader', async () => {
        const seen = await Promise.all(
          [...watchers.values()].map((client) => client.status().catch(() => undefined)),
        )
        // Two may call themselves so for a moment: the newer term is right.
        const newest = seen
          .flatMap((status) => (status?.leader === undefined ? [] : [status]))
          .toSorted((left, right) => right.term - left.term)
        return newest[0]?.leader
      }),
    logs: () => names.map((name) => `── ${name}\n${readFileSync(logOf(name), 'utf8')}`).join('\n'),
    async dispose() {
      for (const client of watchers.values()) client.close()
      for (const child of processes.values()) child.kill('SIGCONT')
      await Promise.all(names.map(kill))
      networks?.dispose()
      rmSync(root, { recursive: true, force: true, maxRetries: 3 })
    },
  }
}
