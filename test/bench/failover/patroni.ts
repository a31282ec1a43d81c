import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { chownSync, closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Client } from 'pg'
import type { LossReport } from '#client'
import { signalAll } from '../../../src/cli/demo/node-processes.ts'
import { findDatabaseUser } from '../../../src/platform/os-user.ts'
import { findProcesses } from '../../../src/platform/process-table.ts'
import { pause } from '../../../src/platform/timers.ts'
import { findPostmaster } from '../../../src/postgres/postmaster.ts'
import { instanceProcesses } from '../../../src/postgres/process-tree.ts'
import { makeDatabaseFolder } from '../../support/database-folder.ts'
import { hasEtcd, startEtcdCluster, type EtcdCluster } from '../../support/etcd-cluster.ts'
import { freePorts } from '../../support/free-ports.ts'
import type { BenchCluster, Case, StartOptions } from './bench-cluster.ts'
import { patroniConfig } from './patroni-config.ts'
import { hostPlaces, loopbackPlaces, type Places } from './places.ts'
import { openServer, openWritable, type Server } from './server-list.ts'
import { faultsBeside, setDiskTrouble } from '../../support/faulty-host.ts'

const NODES = ['node1', 'node2', 'node3'] as const
const START_MS = 120_000
const LOOK_MS = 50
const SWITCHOVER_MS = 15_000
const LOGIN = { user: 'postgres', password: 'bench', database: 'postgres' }

/** What is missing here for a cluster of Patroni, as packages of Debian. */
export function packagesMissingForPatroni(binDir: string | undefined): readonly string[] {
  const hasPatroni = spawnSync('patroni', ['--version'], { stdio: 'ignore' }).status === 0
  return [
    ...(hasPatroni ? [] : ['patroni']),
    ...(hasEtcd() ? [] : ['etcd-server']),
    ...(binDir === undefined ? ['postgresql-15'] : []),
  ]
}

type Member = {
  readonly name: string
  readonly role: string
  readonly state: string
  readonly timeline?: number
  readonly lag?: number | string
}

type PatroniOptions = StartOptions & {
  readonly binDir: string
  readonly root: string
  /** The first of its ports. */
  readonly block: number
  readonly places: Places
}

/**
 * Patroni with etcd. An application has a list of all servers and takes the first that is writable, as libpq does with
 * `target_session_attrs=read-write`.
 */
export class PatroniCluster implements BenchCluster {
  readonly system = 'patroni'
  readonly #options: PatroniOptions
  readonly #etcd: EtcdCluster
  readonly #user = findDatabaseUser({})
  readonly #children = new Map<string, ChildProcess>()
  /** Of the healthy cluster before the fault. */
  #timeline = 0
  #undo: readonly (() => void | Promise<void>)[] = []

  private constructor(options: PatroniOptions, etcd: EtcdCluster) {
    this.#options = options
    this.#etcd = etcd
  }

  /** etcd is on the bench's own host, which no fault touches: the peer at its best. */
  static async start(options: StartOptions & { binDir: string }): Promise<PatroniCluster> {
    const root = makeDatabaseFolder('metako-patroni-')
    const undo: (() => void | Promise<void>)[] = [
      () => rmSync(root, { recursive: true, force: true, maxRetries: 5 }),
    ]
    try {
      const places = options.onHosts ? await hostPlaces(NODES.length) : loopbackPlaces()
      undo.unshift(() => places.dispose())
      const block = await freePorts(places.own, 2 * NODES.length)
      const etcd = await startEtcdCluster({ defaultTiming: true, host: places.own })
      undo.unshift(() => etcd.dispose())
      const cluster = new PatroniCluster({ ...options, root, block, places }, etcd)
      undo.unshift(() => cluster.#endAll())
      cluster.#undo = undo
      await etcd.leader()
      for (const node of NODES) cluster.#writeConfig(node)
      for (const node of NODES) cluster.#startNode(node)
      await cluster.waitForHealthy(START_MS).catch((error: unknown) => {
        process.stderr.write(`${cluster.logTails()}\n`)
        throw error
      })
      return cluster
    } catch (error) {
      for (const task of undo) await task()
      throw error
    }
  }

  async waitForHealthy(deadlineMs: number): Promise<string> {
    const giveUpAt = performance.now() + deadlineMs
    for (;;) {
      const members = await this.#members()
      const leader = members.find(({ role, state }) => role === 'leader' && state === 'running')
      const following = members.filter(
        ({ role, state, timeline }) =>
          role !== 'leader' &&
          (state === 'running' || state === 'streaming') &&
          timeline === leader?.timeline,
      )
      if (leader && following.length === NODES.length - 1 && (await this.#streams(leader.name))) {
        this.#timeline = leader.timeline ?? 0
        return leader.name
      }
      if (performance.now() > giveUpAt) throw new Error(`Patroni is not healthy: ${JSON.stringify(members)}`)
      await pause(4 * LOOK_MS)
    }
  }

  /** All standbys stream, and where commits wait for one of them, one is synchronous. */
  async #streams(primary: string): Promise<boolean> {
    try {
      const client = await openServer(this.#server(primary), LOGIN)
      const { rows } = await client.query<{ n: number; sync: number }>(
        `select count(*)::int as n, count(*) filter (where sync_state in ('sync', 'quorum'))::int as sync
         from pg_stat_replication where state = 'streaming'`,
      )
      await client.end()
      return (
        (rows[0]?.n ?? 0) === NODES.length - 1 && (this.#options.mode === 'async' || (rows[0]?.sync ?? 0) > 0)
      )
    } catch {
      return false
    }
  }

  connect(): Promise<Client> {
    return openWritable(
      NODES.map((node) => this.#server(node)),
      LOGIN,
    )
  }

  async fault(name: Case, primary: string): Promise<void> {
    switch (name) {
      case 'kill': {
        const postmaster = findPostmaster(this.#dataDir(primary))
        if (!postmaster) throw new Error(`No postmaster to kill on ${primary}`)
        process.kill(postmaster.pid, 'SIGKILL')
        return
      }
      case 'crash':
        this.#crash(primary)
        return
      case 'power':
        // The cable first: nothing of what ends may say good-bye.
        this.#options.places.setLink(numberOf(primary), false)
        this.#crash(primary)
        return
      case 'cut':
        this.#options.places.setLink(numberOf(primary), false)
        return
      case 'hang':
        this.#signalInstance(primary, 'SIGSTOP')
        return
      case 'disk':
        setDiskTrouble(faultsBeside(this.#dataDir(primary)), { of: 'postgres', how: 'stall' })
        return
      case 'switchover':
        await this.#switchOver(primary)
    }
  }

  /** Asked again while its synchronous standby is not yet the one that it writes down. */
  async #switchOver(primary: string): Promise<void> {
    const giveUpAt = performance.now() + SWITCHOVER_MS
    for (;;) {
      const others = (await this.#members()).filter(({ name }) => name !== primary)
      // Where one is synchronous, no other may be named.
      const candidate = (others.find(({ role }) => role === 'sync_standby') ?? others[0])?.name
      const answer = await fetch(`${this.#api(primary)}/switchover`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ leader: primary, candidate }),
      })
      if (answer.status === 200) return
      if (answer.status !== 412 || performance.now() > giveUpAt)
        throw new Error(`Patroni refuses: ${answer.status} ${await answer.text()}`)
      await pause(4 * LOOK_MS)
    }
  }

  /** The primary whose PostgreSQL was killed may win its own succession: then another timeline tells. */
  async waitForTakeover(before: string, deadlineMs: number): Promise<void> {
    const giveUpAt = performance.now() + deadlineMs
    for (;;) {
      const members = await this.#members()
      const leader = members.find(({ role, state }) => role === 'leader' && state === 'running')
      if (leader && (leader.name !== before || (leader.timeline ?? 0) > this.#timeline)) return
      if (performance.now() > giveUpAt) throw new Error(`Nobody took over: ${JSON.stringify(members)}`)
      await pause(LOOK_MS)
    }
  }

  heal(node: string): Promise<void> {
    if (this.#options.onHosts) this.#options.places.setLink(numberOf(node), true)
    setDiskTrouble(faultsBeside(this.#dataDir(node)), undefined)
    this.#signalInstance(node, 'SIGCONT')
    const child = this.#children.get(node)
    if (!child || child.exitCode !== null || child.signalCode !== null) this.#startNode(node)
    return Promise.resolve()
  }

  losses(): Promise<readonly LossReport[]> {
    return Promise.resolve([])
  }

  logTails(): string {
    return NODES.map(
      (node) => `── ${node} ──\n${readFileSync(this.#logFile(node), 'utf8').slice(-4000)}`,
    ).join('\n')
  }

  async dispose(): Promise<void> {
    for (const task of this.#undo) await task()
  }

  async #endAll(): Promise<void> {
    const gone = [...this.#children.values()]
      .filter((child) => child.exitCode === null && child.signalCode === null)
      .map((child) => new Promise((resolve) => child.once('exit', resolve)))
    for (const node of NODES) this.#crash(node)
    await Promise.all(gone)
  }

  /**
   * Patroni, PostgreSQL, and what Patroni runs for it: a postmaster is not in its data directory at once, a `pg_rewind` never. What
   * an ending process started meanwhile is found at the next look.
   */
  #crash(node: string): void {
    const folder = join(this.#options.root, node)
    const isOfNode = (argv: readonly string[]) =>
      argv.some((word) => word.includes(`${folder}/`) || word === this.configFile(node))
    for (;;) {
      const found = [...findProcesses(isOfNode), ...instanceProcesses(this.#dataDir(node))]
      if (signalAll(found, 'SIGKILL') === 0) return
    }
  }

  #signalInstance(node: string, signal: NodeJS.Signals): void {
    signalAll(instanceProcesses(this.#dataDir(node)), signal)
  }

  async #members(): Promise<readonly Member[]> {
    for (const node of NODES) {
      try {
        const answer = await fetch(`${this.#api(node)}/cluster`, { signal: AbortSignal.timeout(1000) })
        return ((await answer.json()) as { members: readonly Member[] }).members
      } catch {
        // The next one.
      }
    }
    return []
  }

  #startNode(node: string): void {
    const log = openSync(this.#logFile(node), 'a', 0o644)
    const user = this.#user
    const asUser = user
      ? ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups', '--']
      : []
    const program = ['patroni', this.configFile(node)]
    const [file, ...args] = [...this.#options.places.enter(numberOf(node)), ...asUser, ...program]
    const child = spawn(file ?? '', args, {
      cwd: '/',
      detached: true,
      stdio: ['ignore', log, log],
      env: { PATH: '/usr/bin:/bin', LANG: 'C.UTF-8', HOME: '/', PYTHONUNBUFFERED: '1' },
    })
    closeSync(log)
    this.#children.set(node, child)
  }

  #writeConfig(node: string): void {
    const folder = join(this.#options.root, node)
    mkdirSync(folder, { mode: 0o700 })
    const text = patroniConfig({
      name: node,
      mode: this.#options.mode,
      address: this.#address(node),
      port: this.#port(node),
      apiPort: this.#apiPort(node),
      etcd: this.#etcd.names.map((name) => this.#etcd.url(name).replace('http://', '')),
      binDir: this.#options.binDir,
      folder,
      dataDir: this.#dataDir(node),
      password: LOGIN.password,
    })
    writeFileSync(this.configFile(node), text, { mode: 0o644 })
    if (this.#user) chownSync(folder, this.#user.uid, this.#user.gid)
  }

  #address(node: string): string {
    return this.#options.places.address(numberOf(node))
  }

  #server(node: string): Server {
    return { host: this.#address(node), port: this.#port(node) }
  }

  #port(node: string): number {
    return this.#options.block + numberOf(node) - 1
  }

  #apiPort(node: string): number {
    return this.#port(node) + NODES.length
  }

  #api(node: string): string {
    return `http://${this.#address(node)}:${this.#apiPort(node)}`
  }

  #dataDir(node: string): string {
    return join(this.#options.root, node, 'data')
  }

  configFile(node: string): string {
    return join(this.#options.root, `${node}.yml`)
  }

  #logFile(node: string): string {
    return join(this.#options.root, `${node}.log`)
  }
}

/** From 1. */
function numberOf(node: string): number {
  return NODES.findIndex((one) => one === node) + 1
}
