import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { stringify } from 'yaml'
import type { LossReport } from '#client'
import { canEnter, findDatabaseUser } from '../../../src/platform/os-user.ts'
import { signalProcess } from '../../../src/platform/process.ts'
import { pause } from '../../../src/platform/timers.ts'
import { findPostmaster } from '../../../src/postgres/postmaster.ts'
import { instanceProcesses } from '../../../src/postgres/process-tree.ts'
import { hasEtcd, startEtcdCluster, type EtcdCluster } from '../../support/etcd-cluster.ts'
import { freePorts } from '../../support/free-ports.ts'
import type { BenchCluster, Case, Mode } from './bench-cluster.ts'

const HOST = '127.0.0.1'
const NODES = ['node1', 'node2', 'node3'] as const
const START_MS = 120_000
const LOOK_MS = 50
const PASSWORD = 'bench'
const QUERY_MS = 10_000
/** How long one server of the list is waited for before the next is tried. */
const CONNECT_MS = 2000
const RETRY_MS = 10
const SWITCHOVER_MS = 15_000

/**
 * The fastest settings that Patroni's documentation allows: the shortest lease (20 s), a loop every second, a failover at once when
 * PostgreSQL of the primary has crashed.
 */
const DCS = {
  ttl: 20,
  loop_wait: 1,
  retry_timeout: 3,
  primary_start_timeout: 0,
  maximum_lag_on_failover: 1_048_576,
}

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

/**
 * Patroni with etcd. An application has a list of all servers and takes the first that is writable, as libpq does with
 * `target_session_attrs=read-write`.
 */
export class PatroniCluster implements BenchCluster {
  readonly system = 'patroni'
  readonly #etcd: EtcdCluster
  readonly #root: string
  readonly #block: number
  readonly #binDir: string
  readonly #mode: Mode
  readonly #user = findDatabaseUser({})
  readonly #children = new Map<string, ChildProcess>()
  /** Of the healthy cluster before the fault. */
  #timeline = 0

  private constructor(options: {
    etcd: EtcdCluster
    root: string
    block: number
    binDir: string
    mode: Mode
  }) {
    this.#etcd = options.etcd
    this.#root = options.root
    this.#block = options.block
    this.#binDir = options.binDir
    this.#mode = options.mode
  }

  static async start(options: { mode: Mode; binDir: string }): Promise<PatroniCluster> {
    const user = findDatabaseUser({})
    const parent = [tmpdir(), '/tmp', '/var/tmp'].find((folder) => canEnter(folder, user)) ?? tmpdir()
    const root = mkdtempSync(join(parent, 'metako-patroni-'))
    chmodSync(root, 0o755)
    const etcd = await startEtcdCluster({ defaultTiming: true })
    const cluster = new PatroniCluster({
      etcd,
      root,
      block: await freePorts(HOST, 2 * NODES.length),
      ...options,
    })
    try {
      await etcd.leader()
      for (const node of NODES) cluster.#writeConfig(node)
      for (const node of NODES) cluster.#startNode(node)
      await cluster.waitForHealthy(START_MS)
    } catch (error) {
      process.stderr.write(`${cluster.logTails()}\n`)
      await cluster.dispose()
      throw error
    }
    return cluster
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
      const client = await this.#open(primary)
      const { rows } = await client.query<{ n: number; sync: number }>(
        `select count(*)::int as n, count(*) filter (where sync_state in ('sync', 'quorum'))::int as sync
         from pg_stat_replication where state = 'streaming'`,
      )
      await client.end()
      return (rows[0]?.n ?? 0) === NODES.length - 1 && (this.#mode === 'async' || (rows[0]?.sync ?? 0) > 0)
    } catch {
      return false
    }
  }

  async connect(): Promise<Client> {
    for (;;) {
      for (const node of NODES) {
        try {
          const client = await this.#open(node)
          const { rows } = await client.query<{ transaction_read_only: string }>('show transaction_read_only')
          if (rows[0]?.transaction_read_only === 'off') return client
          await client.end()
        } catch {
          // The next of the list.
        }
      }
      await pause(RETRY_MS)
    }
  }

  async #open(node: string): Promise<Client> {
    const client = new Client({
      host: HOST,
      port: this.#port(node),
      user: 'postgres',
      password: PASSWORD,
      database: 'postgres',
      connectionTimeoutMillis: CONNECT_MS,
      query_timeout: QUERY_MS,
    })
    client.on('error', () => {})
    await client.connect()
    return client
  }

  async fault(name: Case, primary: string): Promise<void> {
    switch (name) {
      case 'kill':
        process.kill(findPostmaster(this.#dataDir(primary))?.pid ?? 0, 'SIGKILL')
        return
      case 'crash':
        this.#children.get(primary)?.kill('SIGKILL')
        this.#killInstance(primary)
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
    const running = [...this.#children.values()].filter(
      (child) => child.exitCode === null && child.signalCode === null,
    )
    const gone = running.map((child) => new Promise((resolve) => child.once('exit', resolve)))
    for (const child of running) child.kill('SIGKILL')
    await Promise.all(gone)
    for (const node of NODES) this.#killInstance(node)
    await this.#etcd.dispose()
    rmSync(this.#root, { recursive: true, force: true, maxRetries: 5 })
  }

  #killInstance(node: string): void {
    for (const { pid } of instanceProcesses(this.#dataDir(node))) signalProcess(pid, 'SIGKILL')
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
    const child = spawn('patroni', [this.#configFile(node)], {
      cwd: '/',
      stdio: ['ignore', log, log],
      env: { PATH: '/usr/bin:/bin', LANG: 'C.UTF-8', HOME: '/', PYTHONUNBUFFERED: '1' },
      ...(this.#user ? { uid: this.#user.uid, gid: this.#user.gid } : {}),
    })
    this.#children.set(node, child)
  }

  #writeConfig(node: string): void {
    const folder = join(this.#root, node)
    mkdirSync(folder, { mode: 0o700 })
    const config = {
      scope: 'bench',
      name: node,
      restapi: {
        listen: `${HOST}:${this.#apiPort(node)}`,
        connect_address: `${HOST}:${this.#apiPort(node)}`,
      },
      etcd3: { hosts: this.#etcd.names.map((name) => this.#etcd.url(name).replace('http://', '')) },
      bootstrap: {
        dcs: {
          ...DCS,
          // The nearest that this version has to our quorum: the first of the standbys has each commit.
          synchronous_mode: this.#mode !== 'async',
          postgresql: {
            use_pg_rewind: true,
            use_slots: true,
            parameters: { wal_log_hints: 'on', max_connections: 100 },
          },
        },
        initdb: [{ encoding: 'UTF8' }, 'data-checksums'],
      },
      postgresql: {
        listen: `${HOST}:${this.#port(node)}`,
        connect_address: `${HOST}:${this.#port(node)}`,
        data_dir: this.#dataDir(node),
        bin_dir: this.#binDir,
        pgpass: join(folder, 'pgpass'),
        remove_data_directory_on_diverged_timelines: true,
        remove_data_directory_on_rewind_failure: true,
        pg_hba: [
          'local all all trust',
          `host all all ${HOST}/32 scram-sha-256`,
          `host replication all ${HOST}/32 scram-sha-256`,
        ],
        authentication: {
          superuser: { username: 'postgres', password: PASSWORD },
          replication: { username: 'replicator', password: PASSWORD },
          rewind: { username: 'rewinder', password: PASSWORD },
        },
        parameters: { unix_socket_directories: folder },
      },
    }
    writeFileSync(this.#configFile(node), stringify(config), { mode: 0o644 })
    if (this.#user) chownSync(folder, this.#user.uid, this.#user.gid)
  }

  #port(node: string): number {
    return this.#block + NODES.findIndex((one) => one === node)
  }

  #apiPort(node: string): number {
    return this.#port(node) + NODES.length
  }

  #api(node: string): string {
    return `http://${HOST}:${this.#apiPort(node)}`
  }

  #dataDir(node: string): string {
    return join(this.#root, node, 'data')
  }

  #configFile(node: string): string {
    return join(this.#root, `${node}.yml`)
  }

  #logFile(node: string): string {
    return join(this.#root, `${node}.log`)
  }
}
