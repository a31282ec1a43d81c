import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { demoNodes, portsOf } from '../../src/cli/demo/demo-layout.ts'
import { supervisorOf, type DemoState } from '../../src/cli/demo/demo-state.ts'
import { pidsOf, processesOf } from '../../src/cli/demo/node-processes.ts'
import { stopNodes } from '../../src/cli/demo/stop-nodes.ts'
import { removeDemo } from '../../src/cli/demo/remove-demo.ts'
import { isPortFree } from '../../src/platform/listening-port.ts'
import { signalProcess } from '../../src/platform/process.ts'
import { randomBetween } from '../../src/platform/random.ts'
import { eventually } from './eventually.ts'
import { PROGRAM } from './machines.ts'

/** A program that was started, with what it has said so far. */
export type Started = { readonly child: ChildProcess; out: string; err: string; hasEnded: boolean }

export type Ended = { readonly code: number | null; readonly out: string; readonly err: string }

/** The fixed ports of five nodes lie below 6900: raised by this they stay below those of outgoing connections. */
const PORT_BASES = [6_000, 20_000] as const

/**
 * A demo in an empty folder that only we can enter, as `mktemp -d` makes it; all its ports raised, so that a demo that somebody
 * runs on this machine is not in the way.
 */
export class DemoFolder {
  readonly cwd: string = mkdtempSync(join(tmpdir(), 'metako-demo-'))
  readonly root: string = join(this.cwd, '.pg-metako')
  readonly portBase: number
  readonly #started: ChildProcess[] = []

  private constructor(portBase: number) {
    this.portBase = portBase
  }

  static async make(): Promise<DemoFolder> {
    for (let attempt = 0; attempt < 50; attempt += 1) {
      const base = randomBetween(...PORT_BASES)
      const ports = [1, 2, 3].flatMap((number) => Object.values(portsOf(number, base)))
      const free = await Promise.all(ports.map((port) => isPortFree('127.0.0.1', port)))
      if (free.every(Boolean)) return new DemoFolder(base)
    }
    throw new Error('Cannot find free ports for a demo')
  }

  /** Starts a command line in the folder; `pg-metako demo` with our ports and `args` where none is given. */
  start(args: readonly string[], command?: readonly string[]): Started {
    const [file = '', ...argv] = command ?? [process.execPath, PROGRAM, 'demo', ...this.#portArgs, ...args]
    const child = spawn(file, argv, { cwd: this.cwd, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    const started: Started = { child, out: '', err: '', hasEnded: false }
    child.once('close', () => (started.hasEnded = true))
    child.stdout?.on('data', (chunk: Buffer) => (started.out += chunk.toString()))
    child.stderr?.on('data', (chunk: Buffer) => (started.err += chunk.toString()))
    this.#started.push(child)
    return started
  }

  /** The demo as a shell would be told to start it. */
  commandLine(...args: readonly string[]): string {
    return [process.execPath, PROGRAM, 'demo', ...this.#portArgs, ...args].join(' ')
  }

  /** Runs `pg-metako` with `args` to its end. */
  async run(...args: readonly string[]): Promise<Ended> {
    return this.ended(this.start([], [process.execPath, PROGRAM, ...args]), 30_000)
  }

  async ready(started: Started): Promise<void> {
    await eventually(
      () => `the demo to be ready\n${started.out}${started.err}`,
      () => {
        if (started.hasEnded) throw new Error(`The demo ended:\n${started.out}${started.err}`)
        return /^ready in /m.test(started.out)
      },
      90_000,
    )
  }

  async ended(started: Started, deadlineMs: number): Promise<Ended> {
    const { child } = started
    await eventually(
      () => `the command to end\n${started.out}${started.err}`,
      () => started.hasEnded,
      deadlineMs,
    )
    return { code: child.exitCode, out: started.out, err: started.err }
  }

  state(): DemoState {
    return JSON.parse(readFileSync(join(this.root, 'demo.json'), 'utf8')) as DemoState
  }

  /** Everything that runs of this demo: its nodes, found in the process list, and the one that started them. */
  pids(): readonly number[] {
    const supervisor = this.#supervisor()
    return [
      ...this.#nodes.flatMap((node) => pidsOf(processesOf(node))),
      ...(supervisor ? [supervisor.pid] : []),
    ]
  }

  #supervisor() {
    return existsSync(join(this.root, 'demo.json')) ? supervisorOf(this.state()) : undefined
  }

  /** Waits until nothing runs any more. */
  async nothingLeft(deadlineMs: number): Promise<true> {
    return eventually(
      () => `no process of the demo: ${this.pids().join(' ')} run`,
      () => this.pids().length === 0 || undefined,
      deadlineMs,
    )
  }

  async dispose(): Promise<void> {
    for (const child of this.#started) if (child.exitCode === null) child.kill('SIGKILL')
    const supervisor = this.#supervisor()
    if (supervisor) signalProcess(supervisor.pid, 'SIGKILL')
    const now = new AbortController()
    now.abort()
    await stopNodes(this.#nodes, now.signal)
    removeDemo(this.root)
    rmSync(this.cwd, { recursive: true, force: true, maxRetries: 3 })
  }

  get #portArgs(): readonly string[] {
    return ['--port-base', String(this.portBase)]
  }

  get #nodes() {
    if (existsSync(join(this.root, 'demo.json'))) return this.state().nodes
    const folders = { root: this.root, dataRoot: this.root, runRoot: this.root }
    return demoNodes({ count: 3, portBase: this.portBase, folders })
  }
}
