import { spawn, type ChildProcess } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync, chmodSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monotonicMs } from '../../../src/platform/clock.ts'
import { silentLogger } from '../../../src/platform/log.ts'
import { findDatabaseUser, type OsUser } from '../../../src/platform/os-user.ts'
import { bootId } from '../../../src/platform/process.ts'
import { pause } from '../../../src/platform/timers.ts'
import { findBinaries } from '../../../src/postgres/binaries.ts'
import { createInstance, type Instance } from '../../../src/postgres/instance.ts'
import { killInstance } from '../../../src/postgres/process-tree.ts'
import type { RouterOptions } from '../../../src/proxy/router-process.ts'
import { knock } from '../../../src/platform/net.ts'
import { freePorts } from '../../support/free-ports.ts'
import { LOOKUP_QUERY, poolOptions } from '../../support/pool-options.ts'
import { REPOSITORY_ROOT } from '../../support/repository-root.ts'

/** Debian's: `pgbench` is in the same folder. */
export const DEBIAN_PG = '/usr/lib/postgresql/15/bin'
const PGBOUNCER = '/usr/sbin/pgbouncer'

const OWNER = { name: 'postgres', password: 'bench owner' }
export const APP = { name: 'app', password: 'bench', database: 'app' }
const UP_MS = 20_000

export type Pooler = { readonly system: string; readonly port: number; readonly pid: number }

/** A PostgreSQL without fsync, and two poolers before it with the same limits. */
export class PoolerBench {
  readonly #folder = mkdtempSync(join(tmpdir(), 'metako-bench-'))
  readonly #osUser: OsUser | undefined = findDatabaseUser({})
  readonly #children: ChildProcess[] = []
  #instance: Instance | undefined
  readonly #agents: Server[] = []
  #port = 0

  constructor() {
    this.#own(this.#folder)
    chmodSync(this.#folder, 0o755)
  }

  async startPostgres(): Promise<void> {
    this.#port = await freePorts('127.0.0.1', 1)
    const instance = createInstance(
      { log: silentLogger() },
      {
        dataDir: join(this.#folder, 'data'),
        runDir: join(this.#folder, 'run'),
        binaries: await findBinaries({ configured: DEBIAN_PG, osUser: this.#osUser }),
        osUser: this.#osUser,
        port: this.#port,
        listenAddresses: ['127.0.0.1'],
        superuser: OWNER,
        database: 'postgres',
        replication: { name: 'replicator', password: 'unused' },
        useSlots: false,
        clusterName: 'bench',
        memberName: 'n1',
        parameters: { max_connections: '100', synchronous_commit: 'off' },
        pgHba: [],
        startTimeoutMs: 60_000,
        stopTimeoutMs: 10_000,
      },
    )
    this.#instance = instance
    await instance.initialise({
      users: [{ name: APP.name, password: APP.password, options: [] }],
      databases: [{ name: APP.database, owner: APP.name }],
      initdbArgs: [],
    })
    const outcome = await instance.start({ as: 'primary' })
    if (outcome.kind !== 'running') throw new Error(`Not started: ${JSON.stringify(outcome)}`)
  }

  get postgresPort(): number {
    return this.#port
  }

  async startRouter(poolSize: number, workers = 1): Promise<Pooler> {
    const agentSocket = join(this.#folder, `agent${workers}.sock`)
    const agent = createServer((socket) => {
      socket.on('error', () => {})
      socket.resume()
      const push = (): void => void socket.write(this.#table())
      push()
      const timer = setInterval(push, 200)
      socket.on('close', () => clearInterval(timer))
    })
    this.#agents.push(agent)
    await new Promise<void>((resolve) => agent.listen(agentSocket, resolve))
    const primary = await freePorts('127.0.0.1', 3)
    const pooled = primary + 2
    const lookup = { user: OWNER.name, password: OWNER.password, database: 'postgres', query: LOOKUP_QUERY }
    const options: RouterOptions = {
      nodeName: 'n1',
      listenHost: '127.0.0.1',
      ports: { primary, replica: primary + 1, pooled },
      holdTimeoutMs: 10_000,
      maxClientConnections: 1000,
      workers,
      pool: poolOptions({ defaultPoolSize: poolSize, auth: { type: 'md5', lookup } }),
      agentSocket,
      members: [],
      routingToken: 'unused',
      logging: { level: 'warn' },
    }
    const child = spawn(
      process.execPath,
      [join(REPOSITORY_ROOT, '.build/test/bench/router/router-host.js')],
      {
        env: { ...process.env, BENCH_ROUTER: JSON.stringify(options) },
        stdio: ['ignore', 'ignore', 'inherit'],
      },
    )
    return this.#up(workers === 1 ? 'pg-metako' : `pg-metako, ${workers} workers`, child, pooled)
  }

  async startPgbouncer(poolSize: number): Promise<Pooler> {
    const port = await freePorts('127.0.0.1', 1)
    const users = join(this.#folder, 'userlist.txt')
    const file = join(this.#folder, 'pgbouncer.ini')
    writeFileSync(users, `"${APP.name}" "${APP.password}"\n`)
    writeFileSync(
      file,
      [
        '[databases]',
        `* = host=127.0.0.1 port=${this.#port}`,
        '[pgbouncer]',
        'listen_addr = 127.0.0.1',
        `listen_port = ${port}`,
        'unix_socket_dir =',
        'auth_type = scram-sha-256',
        `auth_file = ${users}`,
        'pool_mode = transaction',
        `default_pool_size = ${poolSize}`,
        'max_client_conn = 1000',
        '',
      ].join('\n'),
    )
    for (const path of [users, file]) this.#own(path)
    const { uid, gid } = this.#osUser ?? {}
    const child = spawn(PGBOUNCER, ['-q', file], {
      stdio: 'ignore',
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
    })
    return this.#up('pgbouncer', child, port)
  }

  /** Ends what was started, and removes what was written. */
  async dispose(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL')
    for (const agent of this.#agents) agent.close()
    const instance = this.#instance
    if (instance) {
      await killInstance(instance.dataDir, { deadlineMs: 5000 })
      instance.close()
    }
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #up(system: string, child: ChildProcess, port: number): Promise<Pooler> {
    this.#children.push(child)
    const giveUpAt = performance.now() + UP_MS
    while ((await knock({ host: '127.0.0.1', port })) !== 'accepts') {
      if (performance.now() > giveUpAt || child.exitCode !== null)
        throw new Error(`${system} does not listen`)
      await pause(20)
    }
    return { system, port, pid: child.pid ?? 0 }
  }

  #table(): string {
    const target = { name: 'n1', host: '127.0.0.1', port: this.#port }
    const until = { validForMs: 3000, validUntil: monotonicMs() + 3000, bootId: bootId() }
    return `${JSON.stringify({ epoch: 1, primary: target, replicas: [], ...until })}\n`
  }

  #own(path: string): void {
    if (this.#osUser) chownSync(path, this.#osUser.uid, this.#osUser.gid)
  }
}

/** `USER_HZ` of Linux on all architectures that we know: ticks of /proc/PID/stat. */
const TICK_US = 10_000

/** Processor time that a process has used, in microseconds. */
export function processorUs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /s, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_US
}

export function hasPgbouncer(): boolean {
  return existsSync(PGBOUNCER)
}
