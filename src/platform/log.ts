import pino from 'pino'
import { withSourcePlaces } from './source-place.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type LogFields = Readonly<Record<string, unknown>>

/** JSON lines: `time` (RFC 3339), `level` (upper case), `msg`, then fields. No field may hold a secret. */
export type Logger = {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  /** A logger that adds `fields` to every line. */
  with(fields: LogFields): Logger
  setLevel(level: LogLevel): void
}

/** Writes to standard error, like the original; `destination` names a file instead. */
export function createLogger(options: { level: LogLevel; destination?: string | undefined }): Logger {
  const sink = pino.destination({ dest: options.destination ?? 2, sync: true, mkdir: true, append: true })
  const root = pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label.toUpperCase() }) },
      serializers: { error: describeError },
    },
    sink,
  )
  return wrap(root)
}

/** For tests and one-shot commands that must not write log lines. */
export function silentLogger(): Logger {
  return wrap(pino({ level: 'silent' }))
}

function wrap(target: pino.Logger): Logger {
  return {
    debug: (message, fields) => target.debug(fields ?? {}, message),
    info: (message, fields) => target.info(fields ?? {}, message),
    warn: (message, fields) => target.warn(fields ?? {}, message),
    error: (message, fields) => target.error(fields ?? {}, message),
    with: (fields) => wrap(target.child(fields)),
    setLevel: (level) => {
      target.level = level
    },
  }
}

function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { code, details } = error as { code?: unknown; details?: unknown }
  const stack = error.stack === undefined ? undefined : withSourcePlaces(error.stack)
  return { message: error.message, code, details, stack }
}
