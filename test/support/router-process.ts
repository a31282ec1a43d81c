import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { RouterOptions } from '../../src/proxy/router-process.ts'
import { freePorts } from './free-ports.ts'
import { eventually } from './raw-client.ts'
import { REPOSITORY_ROOT } from './repository-root.ts'

type LogLine = Readonly<Record<string, unknown>> & { readonly msg: string }

function isAlive(pid: number): boolean {
  return kill(pid, 0)
}

function kill(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}

/** Three processes of Node begin, on a machine that is busy. */
const READY_MS = 20_000

/** A router as it is shipped, in processes of its own. */
export class RouterProcess {
  readonly ports: RouterOptions['ports']
  /** What it was told. */
  readonly options: RouterOptions
  readonly #logFile: string
  readonly #child: ChildProcess

  constructor(child: ChildProcess, options: RouterOptions, logFile: string) {
    this.#child = child
    this.options = options
    this.ports = options.ports
    this.#logFile = logFile
  }

  /** Resolves when every worker is ready. */
  static async start(options: RouterOptions, folder: string): Promise<RouterProcess> {
    const first = await freePorts('127.0.0.1', 3)
    const ports = { primary: first, replica: first + 1, pooled: first + 2 }
    const logFile = join(folder, `router-${first}.log`)
    const told: RouterOptions = { ...options, ports, logging: { level: 'info', file: logFile } }
    const child = spawn(process.execPath, [join(REPOSITORY_ROOT, 'dist/main.js'), 'router'], {
      env: { ...process.env, PG_METAKO_ROUTER: JSON.stringify(told) },
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    const router = new RouterProcess(child, told, logFile)
    await eventually(() => {
      const workers = told.workers ?? 1
      const isReady =
        router.logged('Router listening').length > 0 &&
        (workers === 1 || router.logged('A worker is ready').length >= workers)
      if (!isReady) throw new Error('the router is not ready')
    }, READY_MS)
    return router
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** The lines of the log that say this. */
  logged(msg: string): readonly LogLine[] {
    if (!existsSync(this.#logFile)) return []
    return readFileSync(this.#logFile, 'utf8')
      .split('\n')
      .filter((line) => line.endsWith('}'))
      .map((line) => JSON.parse(line) as LogLine)
      .filter((line) => line.msg === msg)
  }

  /** The pids of the workers that were ready last, by their places. */
  get workers(): readonly number[] {
    const pids: number[] = []
    for (const { worker, workerPid: pid } of this.logged('A worker is ready'))
      pids[Number(worker)] = Number(pid)
    return pids
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    for (const pid of new Set([...this.routers, this.pid])) kill(pid, signal)
    await eventually(() => {
      if (this.routers.some(isAlive) || !this.hasEnded) throw new Error('the router has not ended')
    }, READY_MS)
  }

  /** The first process; others may have taken its place. */
  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** All processes that had the ports, in turn. */
  get routers(): readonly number[] {
    return this.logged('Router listening').map(({ pid }) => Number(pid))
  }
}
