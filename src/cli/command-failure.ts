import { ClientError } from '#client'
import { remedyOf } from '../model/error-code.ts'
import { Fault, messageOf } from '../std/fault.ts'
import { visibleText } from '../std/visible-text.ts'

/** Scripts depend on these: see docs/reference/cli.md. */
export const EXIT = { done: 0, failed: 1, wrongUsage: 2, unreachable: 3 } as const
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** A command that cannot do what it was asked: one line for people, what to do about it, and the exit code. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure'
  readonly exitCode: ExitCode
  readonly hint: string | undefined

  constructor(exitCode: ExitCode, message: string, hint?: string) {
    super(message)
    this.exitCode = exitCode
    this.hint = hint
  }
}

/** The one place where an error becomes an exit code (style: translate at the edge). */
export function failureOf(error: unknown): CommandFailure {
  if (error instanceof CommandFailure) return error
  if (error instanceof ClientError)
    return new CommandFailure(
      error.kind === 'unreachable' ? EXIT.unreachable : EXIT.failed,
      visibleText(error.message, 1_000),
      error.remedy === undefined ? undefined : visibleText(error.remedy, 1_000),
    )
  if (error instanceof Fault) return new CommandFailure(EXIT.failed, error.message, remedyOf(error.code))
  return new CommandFailure(EXIT.failed, `Internal error: ${messageOf(error)}`)
}
