import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** Enough to be in the way, not enough to starve three agents on two cores. */
const RATE_PER_SECOND = 60
const RESTART_MS = 200
/** Characters that are kept of what it says. */
const SAID_MAX = 600

/** The `pgbench` of this machine; any version can load any server. */
export function findPgbench(): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/lib/postgresql/15/bin']
  return folders.map((folder) => join(folder, 'pgbench')).find((path) => existsSync(path))
}

/** `pgbench` cannot reconnect: this starts it anew whenever it aborts. */
export class PgbenchLoad {
  readonly #program: string
  readonly #url: string
  #child: ChildProcess | undefined
  #timer: NodeJS.Timeout | undefined
  #stopped = false
  /** How often it had to be started. */
  starts = 0
  /** What it said before it ended, once each time. */
  readonly complaints: string[] = []

  constructor(program: string, url: string) {
    this.#program = program
    this.#url = url
  }

  /** Creates its tables; rejects when that fails. */
  initialise(): Promise<void> {
    return new Promise((resolve, reject) => {
      const child = spawn(this.#program, ['-i', '-q', '-s', '1', this.#url], { stdio: 'ignore' })
      child.once('error', reject)
      child.once('exit', (code) =>
        code === 0 ? resolve() : reject(new Error(`pgbench -i ended with ${code}`)),
      )
    })
  }

  start(): void {
    if (this.#stopped) return
    this.starts += 1
    const options = ['-n', '-c', '2', '-T', '3600', '-R', String(RATE_PER_SECOND)]
    const child = spawn(this.#program, [...options, this.#url], { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#child = child
    let said = ''
    child.stderr.on('data', (bytes: Buffer) => {
      said = `${said}${bytes.toString()}`.slice(-SAID_MAX)
    })
    child.once('error', () => {})
    child.once('exit', () => {
      if (this.#stopped) return
      this.complaints.push(said.trim())
      this.#timer = setTimeout(() => this.start(), RESTART_MS)
    })
  }

  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    await new Promise<void>((resolve) => {
      child.once('exit', () => resolve())
      child.kill('SIGKILL')
    })
  }
}
