import { closeSync, fsConstants, openSync, readTextIfPresent } from '../platform/disk.ts'
import type { OsUser } from '../platform/os-user.ts'
import { resetPriority, spawn } from '../platform/process.ts'
import { afterUnheld } from '../platform/timers.ts'
import { Fault } from '../std/fault.ts'
import { KiB, SECOND } from '../std/units.ts'
import { databaseEnvironment } from './postmaster.ts'

/** Enough of a tool's last words to understand it. */
const OUTPUT_KEPT_BYTES = 16 * KiB

/**
 * Runs a PostgreSQL program to its end, as the database user, with `input` on its standard input.
 * Throws `PG_TOOL_FAILED` with its last lines when it fails, takes longer than `timeoutMs` or is aborted.
 */
export function runTool(options: {
  path: string
  args: readonly string[]
  osUser: OsUser | undefined
  timeoutMs?: number
  signal?: AbortSignal
  input?: string
  /** On top of what the database user's programs get. */
  env?: Readonly<Record<string, string>>
  /** Gets all that it writes, also what it writes after we are gone. */
  outputFile?: string
}): Promise<void> {
  const { path, args, osUser, timeoutMs, signal, outputFile } = options
  return new Promise((resolve, reject) => {
    const flags = fsConstants.O_WRONLY | fsConstants.O_APPEND | fsConstants.O_CREAT
    const file = outputFile === undefined ? undefined : openSync(outputFile, flags, 0o600)
    const child = spawn(path, [...args], {
      cwd: '/',
      env: { ...databaseEnvironment(osUser), ...options.env },
      stdio: ['pipe', file ?? 'ignore', file ?? 'pipe'],
      ...(osUser ? { uid: osUser.uid, gid: osUser.gid } : {}),
    })
    if (file !== undefined) closeSync(file)
    resetPriority(child.pid)
    let output = ''
    let ended: string | undefined
    const end = (why: string) => {
      ended ??= why
      child.kill('SIGKILL')
    }
    const giveUp =
      timeoutMs === undefined
        ? () => {}
        : afterUnheld(timeoutMs, () => end(`no end after ${timeoutMs / SECOND} s`))
    const abort = () => end('it was given up')
    signal?.addEventListener('abort', abort, { once: true })
    child.stderr?.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString('utf8')).slice(-OUTPUT_KEPT_BYTES)
    })
    // A program that ends early closes its input: its own words say why.
    child.stdin?.on('error', () => {})
    child.stdin?.end(options.input ?? '')
    const finish = () => {
      giveUp()
      signal?.removeEventListener('abort', abort)
    }
    const fail = async (why: string) => {
      if (outputFile !== undefined)
        output = ((await readTextIfPresent(outputFile)) ?? '').slice(-OUTPUT_KEPT_BYTES)
      reject(
        new Fault('PG_TOOL_FAILED', `Cannot run "${path}": ${why}${lastLines(output)}`, {
          details: { path, output },
        }),
      )
    }
    child.once('error', (error) => {
      finish()
      void fail(error.message)
    })
    child.once('close', (code, killedBy) => {
      finish()
      if (code === 0) resolve()
      else void fail(ended ?? `it ended with ${killedBy ?? `code ${code}`}`)
    })
  })
}

function lastLines(output: string): string {
  const lines = output
    .trim()
    .split(/[\r\n]+/)
    .slice(-3)
    .join(' | ')
  return lines === '' ? '' : `: ${lines}`
}
