/**
 * The world failed: a socket, a disk, PostgreSQL, another node. Decide on `code`, never on the message.
 * Codes are listed with their meaning and remedy in `model/error-code.ts`; here the code is any string,
 * so that rooms below `model` can raise faults of their own.
 */
export class Fault<Code extends string = string> extends Error {
  override readonly name = 'Fault'
  readonly code: Code
  readonly details: Readonly<Record<string, unknown>>
  readonly retryable: boolean

  constructor(
    code: Code,
    message: string,
    options: { details?: Record<string, unknown>; retryable?: boolean; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.details = options.details ?? {}
    this.retryable = options.retryable ?? false
  }
}

/** The text of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}

/** The `code` of anything that was thrown: ours, PostgreSQL's SQLSTATE or Node's errno name. */
export function codeOf(thrown: unknown): string | undefined {
  if (thrown === null || typeof thrown !== 'object' || !('code' in thrown)) return undefined
  return typeof thrown.code === 'string' ? thrown.code : undefined
}
