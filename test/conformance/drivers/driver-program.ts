import { spawn, type ChildProcessByStdio } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import type { Json } from './behaviours.ts'

/** What a program is asked: to do one behaviour at one port, as one user. */
export type DriverRequest = {
  readonly behaviour: string
  readonly place: string
  readonly port: number
  readonly user: string
  /** Part of the names of tables and channels, which others have as well. */
  readonly tag: string
}

export type DriverAnswer =
  | { readonly kind: 'value'; readonly value: Json }
  /** A SQLSTATE, `CLOSED` where the connection was, or the driver's words where it has no code. */
  | { readonly kind: 'error'; readonly error: string }

/** Far beyond what any behaviour takes, and what a Java virtual machine takes to compile its program. */
const ANSWER_MS = 90_000
const STDERR_BYTES_MAX = 4000

/**
 * A driver in its own language: a process that reads requests as lines of fields with tabs between, one after the other, and answers each
 * with a line of JSON. One that does not answer in time is replaced.
 */
export class DriverProgram {
  readonly #command: readonly string[]
  readonly #env: NodeJS.ProcessEnv
  #child: ChildProcessByStdio<Writable, Readable, Readable> | undefined
  #answer: ((line: string | undefined) => void) | undefined
  #rest = ''
  #said = ''

  constructor(command: readonly string[], password: string) {
    this.#command = command
    this.#env = { ...process.env, DRIVERS_PASSWORD: password }
  }

  async ask(request: DriverRequest): Promise<DriverAnswer> {
    const child = this.start()
    const { behaviour, place, port, user, tag } = request
    const line = await new Promise<string | undefined>((resolve) => {
      const timer = setTimeout(() => resolve(undefined), ANSWER_MS)
      this.#answer = (answer) => {
        clearTimeout(timer)
        resolve(answer)
      }
      child.stdin.write(`${[behaviour, place, port, user, tag].join('\t')}\n`)
    })
    this.#answer = undefined
    if (line === undefined) {
      const said = this.#said
      this.stop()
      return { kind: 'error', error: `no answer: ${said}` }
    }
    const { value, error } = JSON.parse(line) as { readonly value?: Json; readonly error?: string }
    return value === undefined ? { kind: 'error', error: String(error) } : { kind: 'value', value }
  }

  stop(): void {
    this.#child?.kill('SIGKILL')
    this.#child = undefined
    this.#rest = ''
    this.#said = ''
  }

  /** Idempotent. */
  start(): ChildProcessByStdio<Writable, Readable, Readable> {
    if (this.#child) return this.#child
    const [program = '', ...args] = this.#command
    const child = spawn(program, args, { env: this.#env, stdio: ['pipe', 'pipe', 'pipe'] })
    this.#child = child
    const ended = (): void => {
      if (this.#child === child) this.#answer?.(undefined)
    }
    child.on('error', ended)
    child.on('exit', ended)
    child.stdin.on('error', () => {})
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (this.#rest + text).split('\n')
      this.#rest = lines.pop() ?? ''
      for (const line of lines) this.#answer?.(line)
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#said = (this.#said + text).slice(-STDERR_BYTES_MAX)
    })
    return child
  }
}
