import { spawn, type ChildProcess } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { MiB } from '../../src/std/units.ts'
import { freePorts } from '../support/free-ports.ts'
import { eventually } from '../support/eventually.ts'
import { PooledRouters } from '../support/pooled-router.ts'
import type { TestPostgres } from '../support/postgres.ts'
import { REPOSITORY_ROOT } from '../support/repository-root.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { HealthyClient } from './healthy-client.ts'
import { attack, HOSTILE, type HostileResult } from './hostile-client.ts'
import { pick } from './messages.ts'

const POOL_SIZE = 10
const CLIENTS_AT_A_TIME = 24
const CLIENTS_PER_BATCH = 120
/** What may be more in use than after the first batch: the runtime's own caches, and server connections that stay open. */
const MEMORY_ALLOWED = 8 * MiB
const SETTLED_MS = 30_000
const LAST_WORDS = 20

type Memory = { readonly used: number; readonly rss: number }

export type LiveReport = {
  readonly messages: number
  readonly clients: number
  readonly ends: Readonly<Record<string, number>>
  readonly statements: number
  readonly longestMs: number
  readonly memory: { readonly before: Memory; readonly after: Memory }
  readonly problems: readonly string[]
  /** What the router said last. */
  readonly lastWords: readonly string[]
}

/** A router's process as it is shipped, before a PostgreSQL, and what hostile clients do to it. */
export class LiveRouter {
  readonly #routers: PooledRouters
  readonly #logFile: string
  #child: ChildProcess | undefined
  #ports: readonly number[] = []
  #exit: string | undefined

  constructor(postgres: TestPostgres) {
    this.#routers = new PooledRouters(postgres)
    this.#logFile = join(this.#routers.workspace.folder, 'router.log')
  }

  async start(): Promise<void> {
    const routers = this.#routers
    routers.validForMs = 60_000
    await routers.start({ parameters: { max_connections: '150', authentication_timeout: '20s' } })
    const admin = await routers.direct()
    await admin.query(`set password_encryption = 'md5'`)
    await admin.query(`create role ${HOSTILE.user} login password '${HOSTILE.password}'`)
    const first = await freePorts('127.0.0.1', 3)
    const ports = { primary: first, replica: first + 1, pooled: first + 2 }
    const told = await routers.routerOptions({
      defaultPoolSize: POOL_SIZE,
      clientLoginTimeoutMs: 20_000,
      statsUsers: [HOSTILE.user],
    })
    const options = { ...told, ports, logging: { level: 'info', file: this.#logFile } }
    const probe = join(REPOSITORY_ROOT, 'test/fuzz/memory-probe.mjs')
    const args = ['--expose-gc', '--import', probe, join(REPOSITORY_ROOT, 'dist/main.js'), 'router']
    const child = spawn(process.execPath, args, {
      env: { ...process.env, PG_METAKO_ROUTER: JSON.stringify(options) },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    child.on('exit', (code, signal) => {
      this.#exit = `the router has ended: ${code ?? signal}`
    })
    this.#child = child
    this.#ports = [ports.primary, ports.replica, ports.pooled]
    await eventually('the router', () => this.#log().includes('Router listening'))
  }

  /** Batches of clients from this seed on, until so many messages were sent; what is wrong then is in the report. */
  async run(wanted: {
    readonly messages: number
    readonly from: number
    /** Whether there are clients that only the router's limits end, after seconds. */
    readonly isPatient: boolean
  }): Promise<LiveReport> {
    const healthy = new HealthyClient(this.#ports)
    healthy.start()
    const problems: string[] = []
    const ends: Record<string, number> = {}
    let [messages, clients, seed] = [0, 0, wanted.from]
    let before: Memory | undefined
    while (messages < wanted.messages || before === undefined) {
      const results = await this.#batch(seed, wanted.isPatient)
      for (const { kind, end } of results) {
        ends[`${kind}: ${end}`] = (ends[`${kind}: ${end}`] ?? 0) + 1
        if (end === 'open') problems.push(`seed ${seed}: a connection of "${kind}" stayed open`)
      }
      messages += results.reduce((sum, result) => sum + result.messages, 0)
      clients += results.length
      // The first batch fills what stays full: pools, caches, code.
      before ??= await this.#settled()
      seed += 1
      if (this.#exit !== undefined || healthy.problems.length > 0 || problems.length > 0) break
    }
    await healthy.stop()
    const after = await this.#settled(before)
    if (after.used > before.used + MEMORY_ALLOWED) {
      problems.push(`memory in use grew from ${before.used} to ${after.used} bytes`)
    }
    problems.push(...healthy.problems, ...this.#complaints())
    const { statements, longestMs } = healthy
    const lastWords = this.#log().trimEnd().split('\n').slice(-LAST_WORDS)
    return { messages, clients, ends, statements, longestMs, memory: { before, after }, problems, lastWords }
  }

  async kill(): Promise<void> {
    const child = this.#child
    if (!child || this.#exit !== undefined) return
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
  }

  async dispose(): Promise<void> {
    await this.kill()
    await this.#routers.dispose()
  }

  async #batch(seed: number, isPatient: boolean): Promise<readonly HostileResult[]> {
    const results: HostileResult[] = []
    let next = 0
    const worker = async (): Promise<void> => {
      while (next < CLIENTS_PER_BATCH && this.#exit === undefined) {
        const random = seededRandom(seed * CLIENTS_PER_BATCH + next)
        next += 1
        results.push(await attack(pick(random, this.#ports), random, isPatient))
      }
    }
    await Promise.all(Array.from({ length: CLIENTS_AT_A_TIME }, worker))
    return results
  }

  /** Memory in use once no hostile client is left; `before`: as soon as it is back there, or what it is at the deadline. */
  async #settled(before?: Memory): Promise<Memory> {
    if (this.#exit !== undefined) return { used: 0, rss: 0 }
    let memory = await this.#memory()
    await eventually(
      'the memory of before',
      async () => {
        if (this.#connections() > 3 * POOL_SIZE + 10) return false
        memory = await this.#memory()
        return before === undefined || memory.used <= before.used + MEMORY_ALLOWED
      },
      SETTLED_MS,
    ).catch(() => undefined)
    if (this.#connections() > 3 * POOL_SIZE + 10) {
      throw new Error(`${this.#connections()} descriptors are open although the clients have left`)
    }
    return memory
  }

  #memory(): Promise<Memory> {
    const child = this.#child
    if (!child || this.#exit !== undefined) throw new Error(this.#exit ?? 'not started')
    return new Promise((resolve, reject) => {
      child.once('message', (said) => resolve(said as Memory))
      child.once('exit', () => reject(new Error(this.#exit)))
      child.send('memory')
    })
  }

  #connections(): number {
    const links = readdirSync(`/proc/${this.#child?.pid}/fd`)
    return links.length
  }

  #log(): string {
    try {
      return readFileSync(this.#logFile, 'utf8')
    } catch {
      return ''
    }
  }

  #complaints(): readonly string[] {
    const lines = this.#log().split('\n').filter(isComplaint)
    return this.#exit === undefined ? lines : [this.#exit, ...lines]
  }
}

/** A line of the log that says that something went wrong in the router itself. */
export function isComplaint(line: string): boolean {
  return /"level":"?(?:error|fatal|50|60)|Unexpected error|uncaught/i.test(line)
}
