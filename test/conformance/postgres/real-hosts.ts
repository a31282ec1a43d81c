import { execFile, spawnSync } from 'node:child_process'
import { appendFileSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import type { Instance } from '../../../src/postgres/instance.ts'
import {
  findPostmaster,
  spawnPostmaster,
  waitUntilGone,
  waitUntilReady,
} from '../../../src/postgres/postmaster.ts'
import { instanceProcesses, killInstance } from '../../../src/postgres/process-tree.ts'
import { eventually } from '../../support/eventually.ts'
import { freePort, running, Workspace, type TestPostgres } from '../../support/postgres.ts'
import type { Upstream } from './script.ts'

export const APP = 'app'

const START_MS = 30_000
const STOP_MS = 10_000

/** Small segments make small templates; scripts count in them. */
const SEGMENT_MIB = 1

const PARAMETERS = {
  shared_buffers: '16MB',
  max_connections: '30',
  autovacuum: 'off',
  max_standby_streaming_delay: '60s',
}

export type RealHost = {
  readonly name: string
  readonly port: number
  readonly dataDir: string
  readonly instance: Instance
}

/** Three real instances with a template of their directories, so that each script begins with the same cluster. */
export class RealHosts {
  readonly postgres: TestPostgres
  readonly #workspace: Workspace
  readonly #hosts = new Map<string, RealHost>()
  #silent: Server | undefined
  #silentPort = 0
  #refusingPort = 0

  private constructor(postgres: TestPostgres) {
    this.postgres = postgres
    this.#workspace = new Workspace(postgres)
  }

  static async create(postgres: TestPostgres, names: readonly string[]): Promise<RealHosts> {
    const hosts = new RealHosts(postgres)
    for (const name of names) {
      const port = await freePort()
      const instance = await hosts.#workspace.instance(name, {
        port,
        parameters: PARAMETERS,
        pgHba: [`host all ${APP} 127.0.0.1/32 trust`, `host replication ${APP} 127.0.0.1/32 trust`],
      })
      hosts.#hosts.set(name, { name, port, dataDir: instance.dataDir, instance })
    }
    hosts.#refusingPort = await freePort()
    hosts.#silent = createServer(() => undefined)
    await new Promise<void>((resolve) => hosts.#silent?.listen(0, '127.0.0.1', resolve))
    const address = hosts.#silent.address()
    hosts.#silentPort = address !== null && typeof address === 'object' ? address.port : 0
    await hosts.#makeTemplate(names)
    return hosts
  }

  host(name: string): RealHost {
    const host = this.#hosts.get(name)
    if (host === undefined) throw new Error(`No host "${name}"`)
    return host
  }

  get #template(): string {
    return join(this.#workspace.folder, 'template')
  }

  async #makeTemplate(names: readonly string[]): Promise<void> {
    const [primary, ...standbys] = names.map((name) => this.host(name)) as [RealHost, ...RealHost[]]
    await primary.instance.initialise({
      users: [],
      databases: [],
      initdbArgs: [`--wal-segsize=${SEGMENT_MIB}`],
    })
    await running(primary.instance.start({ as: 'primary' }))
    await primary.instance.query(`create role ${APP} superuser login`, [], 5000)
    await primary.instance.query('create table public.tokens (token int)', [], 5000)
    await primary.instance.query('create table public.filler (n int)', [], 5000)
    const source = { host: '127.0.0.1', port: primary.port }
    for (const { instance } of standbys) {
      await instance.clone({ source })
      await running(instance.start({ as: 'standby', follow: source }))
      await eventually('it streams', async () => (await instance.facts()).streaming)
    }
    await primary.instance.stop({ mode: 'fast', deadlineMs: STOP_MS })
    for (const { instance } of standbys) await instance.stop({ mode: 'fast', deadlineMs: STOP_MS })
    rmSync(join(primary.dataDir, 'standby.signal'), { force: true })
    // Scripts call standbys by their names; the agent's own would have the id of their data in it.
    for (const name of names.slice(1)) this.point(name, names[0] ?? '')
    mkdirSync(this.#template)
    for (const { dataDir } of [primary, ...standbys]) await this.#copy(dataDir, this.#template)
  }

  async #copy(from: string, into: string): Promise<void> {
    await promisify(execFile)('cp', ['-a', '--reflink=auto', from, `${into}/`])
  }

  /** The first is started as primary, the others stream from it. */
  async reset(names: readonly string[]): Promise<void> {
    await this.killAll()
    for (const { dataDir } of this.#hosts.values()) rmSync(dataDir, { recursive: true, force: true })
    await Promise.all(names.map((name) => this.#copy(join(this.#template, name), this.#workspace.folder)))
    const [primary, ...standbys] = names
    // The primary first: a standby that is refused once sleeps out its retry interval at its next failure, where scripts say "asked".
    if (primary !== undefined) await this.start(primary)
    await Promise.all(standbys.map((name) => this.start(name)))
    for (const name of standbys) {
      await eventually(`${name} streams`, async () => {
        const rows = await this.ask<{ status: string }>(name, 'select status from pg_stat_wal_receiver')
        return rows?.[0]?.status === 'streaming'
      })
    }
  }

  async killAll(): Promise<void> {
    await Promise.all([...this.#hosts.keys()].map((name) => this.kill(name)))
  }

  async kill(name: string): Promise<void> {
    const outcome = await killInstance(this.host(name).dataDir, { deadlineMs: 5000 })
    if (outcome.kind === 'alive') throw new Error(`"${name}" does not die`)
    await eventually(`${name} is gone`, () => instanceProcesses(this.host(name).dataDir).length === 0)
  }

  /** As a stranger starts it: whatever lies there decides. */
  async start(name: string): Promise<void> {
    const { dataDir } = this.host(name)
    const { binaries, osUser } = this.postgres
    const { postmaster } = spawnPostmaster({ binaries, dataDir, osUser, logFile: `${dataDir}.log` })
    if (postmaster === undefined) throw new Error(`"${name}" cannot be started`)
    const readiness = await waitUntilReady(dataDir, postmaster, START_MS)
    if (readiness !== 'ready') throw new Error(`"${name}" is not ready: ${readiness}`)
  }

  async stop(name: string): Promise<void> {
    const postmaster = findPostmaster(this.host(name).dataDir)
    if (postmaster === undefined) return
    process.kill(postmaster.pid, 'SIGINT')
    if (!(await waitUntilGone(postmaster, STOP_MS))) throw new Error(`"${name}" does not stop`)
  }

  /** Read last of all files, and in it the last line counts. */
  set(name: string, setting: string, value: string): void {
    const path = join(this.host(name).dataDir, 'postgresql.auto.conf')
    appendFileSync(path, `${setting} = '${value.replaceAll("'", "''")}'\n`)
  }

  point(name: string, at: Upstream, as: string = name): void {
    const where = () => `hostaddr=127.0.0.1 port=${this.portOf(at)} user=${APP} connect_timeout=3`
    this.set(name, 'primary_conninfo', at === 'nobody' ? '' : `${where()} application_name=${as}`)
  }

  portOf(at: Upstream): number {
    if (at === 'refusing') return this.#refusingPort
    return at === 'silent' ? this.#silentPort : this.host(at).port
  }

  /** A file of the database user in the data directory. */
  putFile(name: string, path: string, content: string): void {
    const full = join(this.host(name).dataDir, path)
    writeFileSync(full, content)
    this.#workspace.own(full)
  }

  removeFile(name: string, path: string): void {
    rmSync(join(this.host(name).dataDir, path), { force: true })
  }

  hasFile(name: string, path: string): boolean {
    return existsSync(join(this.host(name).dataDir, path))
  }

  /** Puts the directory that a program has built beside it into its place. */
  takeCopy(name: string): void {
    const { dataDir } = this.host(name)
    rmSync(dataDir, { recursive: true, force: true })
    renameSync(`${dataDir}.copy`, dataDir)
  }

  /** Runs a program of PostgreSQL as the database user; its words on standard error. */
  runProgram(program: string, args: readonly string[]): { status: number; words: string } {
    const { binaries, osUser } = this.postgres
    const { status, stderr } = spawnSync(join(binaries.folder, program), [...args], {
      cwd: '/',
      env: { PATH: '/usr/bin:/bin', LANG: 'C.UTF-8', HOME: osUser?.home ?? '/' },
      ...(osUser ? { uid: osUser.uid, gid: osUser.gid } : {}),
    })
    return { status: status ?? -1, words: stderr.toString() }
  }

  async connect(name: string): Promise<pg.Client> {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: this.host(name).port,
      user: APP,
      database: 'postgres',
      connectionTimeoutMillis: 3000,
    })
    client.on('error', () => {})
    await client.connect()
    return client
  }

  /** Rows of one statement on a connection of its own; `undefined` when there is no answer. */
  async ask<Row extends Record<string, unknown>>(
    name: string,
    text: string,
    values: readonly unknown[] = [],
  ): Promise<readonly Row[] | undefined> {
    let client: pg.Client | undefined
    try {
      client = await this.connect(name)
      await client.query('set statement_timeout = 3000')
      return (await client.query<Row>(text, [...values])).rows
    } catch {
      return undefined
    } finally {
      await client?.end().catch(() => undefined)
    }
  }

  async dispose(): Promise<void> {
    await this.killAll()
    this.#silent?.close()
    await this.#workspace.dispose()
  }
}
