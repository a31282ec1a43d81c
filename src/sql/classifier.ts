import { analyse } from './analyse.ts'
import type { Analysis } from './analysis.ts'
import type { Catalog } from './catalog.ts'
import { FingerprintWriter, type Hint } from './fingerprint.ts'
import { hinted } from './hint.ts'
import type { Grammar } from './tree.ts'
import { judge, type FunctionOverrides } from './judge.ts'
import { unclassifiedEffects } from './unclassified.ts'
import type { Reason, Verdict } from './verdict.ts'

export type ClassifierLimits = {
  readonly entriesMax: number
  readonly bytesMax: number
  /** Of the grammar: what a flood of new statements may cost the process that carries everybody's bytes. */
  readonly parsesPerSecond: number
}

/** A parse takes some 50 µs, of a long statement a millisecond: together a few percent of a core. */
export const CLASSIFIER_LIMITS: ClassifierLimits = {
  entriesMax: 10_000,
  bytesMax: 16 * 1024 * 1024,
  parsesPerSecond: 500,
}

export type Question = {
  readonly text: string
  readonly standardStrings: boolean
  /** The session's `client_encoding`, as the server reports it. */
  readonly encoding?: string
  readonly catalog: Catalog
  /** Of the caller's monotonic clock. */
  readonly nowMs: number
}

export type Answer = {
  readonly verdict: Verdict
  /** Absent where the text has none: it has no end, or is too long. */
  readonly fingerprint?: string
  readonly hint?: Hint
}

/** For people: how well it goes. */
export type ClassifierCounts = {
  readonly entries: number
  readonly bytes: number
  readonly hits: number
  readonly misses: number
  readonly refused: number
}

type Entry = {
  readonly analysis: Analysis
  readonly bytes: number
  /** The verdict with the catalog that asked last: most often there is one. */
  catalog: Catalog | undefined
  verdict: Verdict
}

/** In these, the second byte of a letter may be a sign of ASCII, such as a backslash: nobody knows where a string ends. */
const UNSAFE_ENCODINGS = new Set(['BIG5', 'GB18030', 'GBK', 'JOHAB', 'SHIFT_JIS_2004', 'SJIS', 'UHC'])

/** What an entry takes beside its text. */
const ENTRY_BYTES = 400
const NAME_BYTES = 64

/**
 * Verdicts by fingerprint. The text is analysed once, whatever database asks; what the catalog says is looked up again when
 * it has changed. Entries live in two generations: when the young one is full it becomes the old one, and what is asked for
 * again comes back to life. That forgets what was not used for longest, roughly, and costs a hit nothing.
 */
export class Classifier {
  readonly #grammar: Grammar
  readonly #overrides: FunctionOverrides
  readonly #limits: ClassifierLimits
  readonly #writer = new FingerprintWriter()
  #young = new Map<string, Entry>()
  #old = new Map<string, Entry>()
  #youngBytes = 0
  #oldBytes = 0
  #hits = 0
  #misses = 0
  #refused = 0
  /** Parses that may be done at once. */
  #allowance: number
  #allowanceAtMs = Number.NEGATIVE_INFINITY

  constructor(grammar: Grammar, overrides: FunctionOverrides, limits: ClassifierLimits = CLASSIFIER_LIMITS) {
    this.#grammar = grammar
    this.#overrides = overrides
    this.#limits = limits
    this.#allowance = limits.parsesPerSecond
  }

  classify({ text, standardStrings, encoding = 'UTF8', catalog, nowMs }: Question): Answer {
    if (UNSAFE_ENCODINGS.has(encoding.toUpperCase())) {
      return { verdict: notJudged('UNSAFE_ENCODING', [{ kind: 'pin', cause: 'not-classified' }]) }
    }
    const written = this.#writer.write(text, { standardStrings })
    const { hint } = written
    if (written.kind === 'unreadable') {
      const effects = unclassifiedEffects(text, { standardStrings })
      return withHint(notJudged(written.reason, effects), hint)
    }
    const fingerprint = written.text
    const known = this.#find(fingerprint)
    if (known !== undefined) this.#hits += 1
    const entry = known ?? this.#learn(fingerprint, nowMs)
    if (entry === undefined) {
      const effects = unclassifiedEffects(fingerprint, { standardStrings: true })
      return { ...withHint(notJudged('TOO_MANY_NEW_STATEMENTS', effects), hint), fingerprint }
    }
    if (entry.catalog !== catalog) {
      entry.verdict = this.#judge(entry.analysis, catalog)
      entry.catalog = catalog
    }
    return { ...withHint(entry.verdict, hint), fingerprint }
  }

  counts(): ClassifierCounts {
    return {
      entries: this.#young.size + this.#old.size,
      bytes: this.#youngBytes + this.#oldBytes,
      hits: this.#hits,
      misses: this.#misses,
      refused: this.#refused,
    }
  }

  /** How many of the kept fingerprints had each reason last. */
  reasons(): ReadonlyMap<Reason, number> {
    const counts = new Map<Reason, number>()
    for (const entries of [this.#young, this.#old]) {
      for (const { verdict } of entries.values())
        counts.set(verdict.reason, (counts.get(verdict.reason) ?? 0) + 1)
    }
    return counts
  }

  #find(fingerprint: string): Entry | undefined {
    const young = this.#young.get(fingerprint)
    if (young !== undefined) return young
    const old = this.#old.get(fingerprint)
    if (old === undefined) return undefined
    this.#old.delete(fingerprint)
    this.#oldBytes -= old.bytes
    this.#keep(fingerprint, old)
    return old
  }

  #learn(fingerprint: string, nowMs: number): Entry | undefined {
    if (!this.#mayParse(nowMs)) {
      this.#refused += 1
      return undefined
    }
    this.#misses += 1
    return this.#parse(fingerprint)
  }

  #parse(text: string): Entry {
    const analysis = analyse(text, this.#grammar)
    const names = analysis.functions.length + analysis.relations.length + analysis.fields.length
    const bytes = text.length * 2 + ENTRY_BYTES + names * NAME_BYTES
    const entry = { analysis, bytes, catalog: undefined, verdict: notJudged('SYNTAX', []) }
    this.#keep(text, entry)
    return entry
  }

  /** Invariant: both generations together stay within the limits. */
  #keep(fingerprint: string, entry: Entry): void {
    const { entriesMax, bytesMax } = this.#limits
    if ((this.#young.size + 1) * 2 > entriesMax || (this.#youngBytes + entry.bytes) * 2 > bytesMax) {
      this.#old = this.#young
      this.#oldBytes = this.#youngBytes
      this.#young = new Map()
      this.#youngBytes = 0
    }
    this.#young.set(fingerprint, entry)
    this.#youngBytes += entry.bytes
  }

  #mayParse(nowMs: number): boolean {
    const { parsesPerSecond } = this.#limits
    if (nowMs > this.#allowanceAtMs) {
      const earned = Math.min(1, (nowMs - this.#allowanceAtMs) / 1000) * parsesPerSecond
      this.#allowance = Math.min(parsesPerSecond, this.#allowance + earned)
      this.#allowanceAtMs = nowMs
    }
    if (this.#allowance < 1) return false
    this.#allowance -= 1
    return true
  }

  #judge(analysis: Analysis, catalog: Catalog): Verdict {
    return judge(analysis, {
      catalog,
      overrides: this.#overrides,
      analyse: (text) => analyse(text, this.#grammar),
    })
  }
}

function withHint(verdict: Verdict, hint: Hint | undefined): Answer {
  return hint === undefined ? { verdict } : { verdict: hinted(verdict, hint), hint }
}

function notJudged(reason: Reason, effects: Verdict['effects']): Verdict {
  return { kind: 'unknown', reason, statementCount: 0, effects }
}
