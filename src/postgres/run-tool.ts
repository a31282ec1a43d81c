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
 * Throws `PG_TOOL_FAILED` with its last lines when it fails or takes longer than `timeoutMs`.
 */
export function runTool(options: {
  path: string
  args: readonly string[]
  osUser: OsUser | undefined
  timeoutMs: number
  input?: string
}): Promise<void> {
  const { path, args, osUser, timeoutMs } = options
  return new Promise((resolve, reject) => {
    const child = spawn(path, [...args], {
      cwd: '/',
      env: databaseEnvironment(osUser),
      stdio: ['pipe', 'ignore', 'pipe'],
      ...(osUser ? { uid: osUser.uid, gid: osUser.gid } : {}),
    })
    resetPriority(child.pid)
    let output = ''
    let overdue = false
    const giveUp = afterUnheld(timeoutMs, () => {
      overdue = true
      child.kill('SIGKILL')
    })
    child.stderr?.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString('utf8')).slice(-OUTPUT_KEPT_BYTES)
    })
    // A program that ends early closes its input: its own words say why.
    child.stdin?.on('error', () => {})
    child.stdin?.end(options.input ?? '')
    const fail = (why: string) =>
      reject(
        new Fault('PG_TOOL_FAILED', `Cannot run "${path}": ${why}${lastLines(output)}`, {
          details: { path, output },
        }),
      )
    child.once('error', (error) => {
      giveUp()
      fail(error.message)
    })
    child.once('close', (code, signal) => {
      giveUp()
      if (code === 0) resolve()
      else if (overdue) fail(`no end after ${timeoutMs / SECOND} s`)
      else fail(`it ended with ${signal ?? `code ${code}`}`)
    })
  })
}

function lastLines(output: string): string {
  const lines = output.trim().split('\n').slice(-3).join(' | ')
  return lines === '' ? '' : `: ${lines}`
}
