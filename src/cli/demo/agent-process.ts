import { closeSync, copyFileSync, openSync, readFileSync, statSync, fs } from '../../platform/disk.ts'
import { MAIN_FILE } from '../../platform/main-file.ts'
import { identityOf, isAlive, type ProcessIdentity } from '../../platform/process-table.ts'
import { nodeExecutable, spawn } from '../../platform/process.ts'
import { after, every } from '../../platform/timers.ts'
import { MiB, SECOND } from '../../std/units.ts'
import type { DemoNode } from './demo-layout.ts'

/** How an agent ended; `code` and `signal` are unknown for an adopted one, which is not our child. */
export type AgentEnd = { readonly code?: number; readonly signal?: string }

/** As systemd would with RestartSec=1. */
const RESTART_MS = 1 * SECOND
/** How soon the end of an adopted agent is noticed. */
const ADOPTED_LOOK_MS = 200
/** A log that grows past this is kept as `agent.log.1` and begun anew: at most twice this lies on disk. */
const LOG_BYTES_MAX = 16 * MiB

/**
 * One agent, started again 1 s after it ends, whatever the reason. It is a session of its own: a Ctrl-C in the terminal
 * reaches the demo alone, which then stops all agents in order; and it lives on when the demo is killed.
 */
export class AgentProcess {
  readonly node: DemoNode
  readonly #onEnd: (end: AgentEnd) => void
  #identity: ProcessIdentity | undefined
  #cancel: () => void = () => {}
  #stopped = false

  constructor(node: DemoNode, onEnd: (end: AgentEnd) => void) {
    this.node = node
    this.#onEnd = onEnd
  }

  /** The running agent; absent for the second between its end and its restart. */
  get identity(): ProcessIdentity | undefined {
    return this.#identity
  }

  start(): void {
    if (this.#stopped) return
    const log = openSync(this.node.logFile, 'a', 0o600)
    const child = spawn(nodeExecutable, [MAIN_FILE, '--config', this.node.configFile], {
      cwd: this.node.folder,
      detached: true,
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    // The start time is read at once: a child that has already ended is a zombie until its exit event, and has none.
    this.#identity = child.pid === undefined ? undefined : identityOf(child.pid)
    child.once('error', () => this.#ended({}))
    child.once('exit', (code, signal) =>
      this.#ended({ ...(code === null ? {} : { code }), ...(signal === null ? {} : { signal }) }),
    )
    child.unref()
  }

  /** Goes on with an agent that an earlier demo started. */
  adopt(identity: ProcessIdentity): void {
    this.#identity = identity
    this.#cancel = every(ADOPTED_LOOK_MS, () => {
      if (!isAlive(identity)) this.#ended({})
    })
  }

  /** From now on its end is final. Does not end it: `stopNodes` does. */
  stopRestarting(): void {
    this.#stopped = true
    this.#cancel()
  }

  /** Keeps the log bounded. The agent appends, so cutting the file to nothing is safe while it writes. */
  async trimLog(): Promise<void> {
    try {
      if (statSync(this.node.logFile).size < LOG_BYTES_MAX) return
      copyFileSync(this.node.logFile, `${this.node.logFile}.1`)
      await fs.truncate(this.node.logFile)
    } catch {
      // No log yet, or a full disk: the next look tries again.
    }
  }

  #ended(end: AgentEnd): void {
    this.#cancel()
    this.#identity = undefined
    if (this.#stopped) return
    this.#onEnd(end)
    this.#cancel = after(RESTART_MS, () => this.start())
  }
}

/** The last lines of an agent's log, the part of it that says what went wrong. */
export function lastLogLines(node: DemoNode, count: number): readonly string[] {
  try {
    return readFileSync(node.logFile, 'utf8').trimEnd().split('\n').slice(-count)
  } catch {
    return []
  }
}
