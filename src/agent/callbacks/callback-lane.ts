import { monotonicMs } from '../../platform/clock.ts'
import type { Logger } from '../../platform/log.ts'
import type { OsUser } from '../../platform/os-user.ts'
import { resetPriority, signalProcess, spawn } from '../../platform/process.ts'
import { afterUnheld } from '../../platform/timers.ts'
import { databaseEnvironment } from '../../postgres/postmaster.ts'
import { KiB, SECOND } from '../../std/units.ts'

/** Enough of what a program says to understand it; the rest is read and dropped, so that it never waits for us. */
const OUTPUT_KEPT_CHARACTERS = 4 * KiB
/** How long the output of a program that has ended may still be on its way. */
const LAST_WORDS_MS = 200

export type Script = {
  readonly words: readonly string[]
  readonly timeoutMs: number
  /** For the log. */
  readonly about: Readonly<Record<string, string>>
}

type Running = { readonly end: (why: string) => void }

/**
 * Runs one program at a time and keeps nobody waiting: of those that come meanwhile the newest counts, and what runs then is killed with
 * all that it has started, as it is when its time is over. Each has a session of its own, so that its whole group can be.
 */
export class CallbackLane {
  readonly #log: Logger
  readonly #osUser: OsUser | undefined
  #running: Running | undefined
  #next: Script | undefined
  #onIdle: (() => void)[] = []

  constructor(log: Logger, osUser: OsUser | undefined) {
    this.#log = log
    this.#osUser = osUser
  }

  call(script: Script): void {
    this.#next = script
    // Order: the next one begins only when this one is gone, so that two never work against each other.
    if (this.#running) this.#running.end('something newer has happened')
    else this.#begin()
  }

  /** Resolves when nothing runs and nothing waits. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#running) this.#onIdle.push(resolve)
      else resolve()
    })
  }

  #begin(): void {
    const script = this.#next
    this.#next = undefined
    if (script) return void (this.#running = this.#run(script))
    for (const resolve of this.#onIdle.splice(0)) resolve()
  }

  #run({ words, timeoutMs, about }: Script): Running {
    const [program = '', ...args] = words
    const begunAt = monotonicMs()
    const child = spawn(program, args, {
      cwd: '/',
      detached: true,
      env: databaseEnvironment(this.#osUser),
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(this.#osUser ? { uid: this.#osUser.uid, gid: this.#osUser.gid } : {}),
    })
    resetPriority(child.pid)
    // An agent that leaves waits for none of this: the program goes on alone.
    child.unref()
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        output = (output + chunk.toString('utf8')).slice(-OUTPUT_KEPT_CHARACTERS)
      })
      if (stream && 'unref' in stream) (stream as unknown as { unref(): void }).unref()
    }
    let endedFor: string | undefined
    const end = (why: string) => {
      endedFor ??= `it was ended: ${why}`
      if (child.pid !== undefined) signalProcess(-child.pid, 'SIGKILL')
    }
    const giveUp = afterUnheld(timeoutMs, () => end(`it took longer than ${timeoutMs / SECOND} s`))
    let isOver = false
    const finish = (failure: string | undefined) => {
      if (isOver) return
      isOver = true
      giveUp()
      const said = output.trim()
      const tookMs = Math.round(monotonicMs() - begunAt)
      const fields = { ...about, program, tookMs, ...(said === '' ? {} : { output: said }) }
      if (failure === undefined) this.#log.info('Callback done', fields)
      else this.#log.warn('Callback failed', { ...fields, why: failure })
      this.#running = undefined
      this.#begin()
    }
    const failureOf = (code: number | null, signal: string | null) =>
      endedFor ?? (code === 0 ? undefined : `it ended with ${signal ?? `code ${code}`}`)
    child.once('error', (error) => finish(error.message))
    child.once('close', (code, signal) => finish(failureOf(code, signal)))
    // What it left in the background may hold its output open for ever.
    child.once(
      'exit',
      (code, signal) => void afterUnheld(LAST_WORDS_MS, () => finish(failureOf(code, signal))),
    )
    return { end }
  }
}
