import { mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import pino from 'pino'
import { withSourcePlaces } from './source-place.ts'

const STANDARD_ERROR = 2

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

/** The newest lines are kept for whoever asks the process itself, each cut at a length. */
const KEPT_LINES_MAX = 300
const KEPT_LINE_LENGTH_MAX = 4096

/** One line as it was written, with its number since the process began. */
export type LogLine = { readonly number: number; readonly text: string }

export type KeptLogger = Logger & {
  /** The newest lines behind number `after`, oldest first. */
  tail(after: number): readonly LogLine[]
}

/** So much waits in memory for a log that takes nothing; what comes beyond is dropped and counted. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024

/**
 * Writes to standard error, like the original; `destination` names a file instead, and throws when it cannot be opened. Never waits for the
 * disk or the reader: a log that stalls must not stall who fences or routes. What is waiting is written when the process exits.
 */
export function createLogger(options: { level: LogLevel; destination?: string | undefined }): KeptLogger {
  const fd = options.destination === undefined ? STANDARD_ERROR : openLog(options.destination)
  const sink = pino.destination({ dest: fd, sync: false, maxLength: WAITING_BYTES_MAX })
  const kept: LogLine[] = []
  let written = 0
  const root = pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label.toUpperCase() }) },
      serializers: { error: describeError },
    },
    {
      write: (line: string) => {
        sink.write(line)
        written += 1
        kept.push({ number: written, text: line.slice(0, KEPT_LINE_LENGTH_MAX).trimEnd() })
        if (kept.length > KEPT_LINES_MAX) kept.shift()
      },
    },
  )
  let dropped = 0
  sink.on('drop', () => {
    dropped += 1
  })
  sink.on('drain', () => {
    if (dropped === 0) return
    const lines = dropped
    dropped = 0
    root.warn({ lines }, 'Log lines were dropped: the log could not be written for a while')
  })
  // A full disk: what waits is tried again with the next line.
  sink.on('error', () => {})
  return { ...wrap(root), tail: (after) => kept.filter(({ number }) => number > after) }
}

function openLog(path: string): number {
  mkdirSync(dirname(path), { recursive: true })
  return openSync(path, 'a')
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
