import type { Logger } from '../../platform/log.ts'
import { FingerprintWriter } from '../../sql/fingerprint.ts'
import type { PoolOptions } from './pool-options.ts'

/** One statement, whatever its constants. */
export type StatementCount = {
  readonly database: string
  readonly user: string
  readonly statement: string
  readonly calls: number
  readonly errors: number
  readonly totalMs: number
  readonly maxMs: number
}

/** What has ended: of a batch its first statement stands for all. */
export type EndedStatement = {
  readonly pool: { readonly database: string; readonly user: string }
  /** Absent where it did not come in one piece. */
  readonly text: string | undefined
  readonly standardStrings: boolean
  readonly tookMs: number
  readonly hasFailed: boolean
}

/** Both generations together: some megabytes at the worst. */
const ENTRIES_MAX = 2000
/** What is shown of a statement, and kept. */
const SHOWN_MAX = 1000
/** Statements whose constants the fingerprint replaces; of all others, a password among them, only the first words are told. */
const WITHOUT_CONSTANTS =
  /^(?:select|insert|update|delete|merge|with|values|table|explain|copy|call|execute|declare|\()/
const FIRST_WORDS = /^[a-z_]+(?: [a-z_]+)?/

/**
 * Counts and times of statements by fingerprint, and a line in the log for each that took too long. Entries live in two generations,
 * so that what is used stays: as the classifier's.
 */
export class StatementLog {
  readonly #log: Logger
  readonly #options: () => Pick<PoolOptions, 'trackStatements' | 'logMinDurationMs'>
  readonly #writer = new FingerprintWriter()
  #young = new Map<string, StatementCount>()
  #old = new Map<string, StatementCount>()

  constructor(log: Logger, options: () => Pick<PoolOptions, 'trackStatements' | 'logMinDurationMs'>) {
    this.#log = log
    this.#options = options
  }

  /** Whether texts are wanted at all. */
  get isOn(): boolean {
    const { trackStatements, logMinDurationMs } = this.#options()
    return trackStatements || logMinDurationMs > 0
  }

  ended(ended: EndedStatement): void {
    const { trackStatements, logMinDurationMs } = this.#options()
    const isSlow = logMinDurationMs > 0 && ended.tookMs >= logMinDurationMs
    if (!trackStatements && !isSlow) return
    const { database, user } = ended.pool
    const statement = this.#shown(ended)
    if (isSlow) {
      const durationMs = Math.round(ended.tookMs)
      this.#log.warn('A statement was slow', {
        database,
        user,
        durationMs,
        statement,
        failed: ended.hasFailed,
      })
    }
    if (trackStatements) this.#count(ended, statement)
  }

  /** Those that took most of the time, first. */
  report(): readonly StatementCount[] {
    return topOf([...this.#old.values(), ...this.#young.values()])
  }

  #count({ pool: { database, user }, tookMs, hasFailed }: EndedStatement, statement: string): void {
    const key = JSON.stringify([database, user, statement])
    const known = this.#young.get(key) ?? this.#old.get(key)
    this.#old.delete(key)
    if (this.#young.size * 2 >= ENTRIES_MAX && !this.#young.has(key)) {
      this.#old = this.#young
      this.#young = new Map()
    }
    const one = {
      database,
      user,
      statement,
      calls: 1,
      errors: Number(hasFailed),
      totalMs: tookMs,
      maxMs: tookMs,
    }
    this.#young.set(key, known ? sumOf(known, one) : one)
  }

  /** Invariant: no constant of a statement is in it, since it may be a secret. */
  #shown({ text, standardStrings }: EndedStatement): string {
    if (text === undefined) return '(in pieces)'
    const written = this.#writer.write(text, { standardStrings })
    if (written.kind === 'unreadable') return `(${written.reason.toLowerCase().replace('_', ' ')})`
    const one = written.text.replace(/[\s;]+$/, '')
    // Behind a semicolon a statement of another kind may follow.
    if (WITHOUT_CONSTANTS.test(one) && !one.includes(';')) return one.slice(0, SHOWN_MAX)
    return `${FIRST_WORDS.exec(one)?.[0] ?? ''} …`.trim()
  }
}

/** What several workers have counted, as one. */
export function mergeStatements(counts: readonly StatementCount[]): readonly StatementCount[] {
  const merged = new Map<string, StatementCount>()
  for (const one of counts) {
    const key = JSON.stringify([one.database, one.user, one.statement])
    const known = merged.get(key)
    merged.set(key, known ? sumOf(known, one) : one)
  }
  return topOf([...merged.values()])
}

const TOP_MAX = 200

function topOf(counts: readonly StatementCount[]): readonly StatementCount[] {
  return counts.toSorted((one, other) => other.totalMs - one.totalMs).slice(0, TOP_MAX)
}

function sumOf(one: StatementCount, other: StatementCount): StatementCount {
  return {
    ...one,
    calls: one.calls + other.calls,
    errors: one.errors + other.errors,
    totalMs: one.totalMs + other.totalMs,
    maxMs: Math.max(one.maxMs, other.maxMs),
  }
}
