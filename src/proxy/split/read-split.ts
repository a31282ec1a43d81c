import type { Logger } from '../../platform/log.ts'
import type { Catalog } from '../../sql/catalog.ts'
import type { Answer, Question } from '../../sql/classifier.ts'
import { unclassifiedEffects } from '../../sql/unclassified.ts'
import { messageOf } from '../../std/fault.ts'
import type { Pool } from '../pool/pool.ts'
import type { SessionSettings } from '../pool/tracked-settings.ts'
import { DatabaseCatalog } from './database-catalog.ts'
import type { LoadedClassifier } from './load-classifier.ts'
import { ReplicaChoice, type Reader, type ReplicaPlace } from './replica-choice.ts'
import { SplitCounts, type SplitReport } from './split-counts.ts'

/** A client that wants to run something, outside of a transaction. */
export type SplitClient = Reader & { readonly settings: Pick<SessionSettings, 'get'> }

/** Of a database that nobody has asked yet. */
const NO_CATALOG: Catalog = {
  volatilityOf: () => undefined,
  relationOf: () => undefined,
  isVolatileField: () => false,
  unusual: undefined,
}
/** Fingerprints that replicas refused, and pools whose transactions are none for them; then they are learnt anew. */
const REFUSED_MAX = 1000
/**
 * The read/write split of the pooled port: reads, and transactions that only read, go to a replica that has everything that the session
 * committed, everything else to the primary. What is not known (the grammar is being loaded, no catalog yet, no replica that
 * is fresh enough) is the primary's.
 */
export class ReadSplit {
  readonly #log: Logger
  readonly #place: ReplicaPlace
  readonly #catalogs = new Map<string, DatabaseCatalog>()
  readonly #replicas: ReplicaChoice
  readonly #refused = new Set<string>()
  /** By name: their transactions are SERIALIZABLE unless they say otherwise, which no standby can do. */
  readonly #serializable = new Set<string>()
  readonly #counts = new SplitCounts()
  #loaded: LoadedClassifier | undefined

  constructor(
    deps: { readonly log: Logger; readonly place: ReplicaPlace },
    loading: Promise<LoadedClassifier>,
  ) {
    this.#log = deps.log
    this.#place = deps.place
    this.#replicas = new ReplicaChoice(deps.place)
    loading.then(
      (loaded) => {
        this.#loaded = loaded
      },
      (error: unknown) =>
        this.#log.error('Cannot load the grammar: all statements go to the primary', {
          cause: messageOf(error),
        }),
    )
  }

  /** What these statements of a client are. Order: all of them, since each may say something about the session. */
  judge(client: SplitClient, texts: readonly string[]): readonly Answer[] {
    const known = this.#catalogOf(client.pool)
    const catalog = known.current(client.pool)
    return texts.map((text) => {
      const answer = this.#classify(client, text, catalog ?? NO_CATALOG)
      const { verdict, fingerprint } = answer
      this.#counts.judged(verdict)
      if (verdict.reason === 'CHANGES_SCHEMA') known.changes()
      if (verdict.reason === 'UNKNOWN_FUNCTION' || verdict.reason === 'UNKNOWN_RELATION') known.lacks()
      const isProven = catalog !== undefined && !this.#refused.has(fingerprint ?? '')
      return verdict.kind !== 'read' || isProven
        ? answer
        : { ...answer, verdict: { ...verdict, kind: 'unknown' } }
    })
  }

  /** The pool on a replica that has what the client is to find; its own where there is none. */
  poolFor(client: SplitClient): Pool {
    if (this.#serializable.has(client.pool.name)) return client.pool
    return this.#replicas.poolFor(client) ?? client.pool
  }

  /** Whether it is worth a moment to wait for a replica. */
  isNear(client: SplitClient): boolean {
    return !this.#serializable.has(client.pool.name) && this.#replicas.isNear(client)
  }

  wait(client: SplitClient, done: () => void): () => void {
    return this.#replicas.wait(client, done)
  }

  epoch(): number {
    return this.#place.table()?.epoch ?? 0
  }

  /** A standby said that the sessions of this pool are SERIALIZABLE by default: nothing of theirs goes to one. */
  isSerializable({ name }: Pool): void {
    if (this.#serializable.size >= REFUSED_MAX) this.#serializable.clear()
    this.#serializable.add(name)
  }

  /** Held for a read, and refused by a replica: from now on such statements go to the primary, and somebody should know. */
  refused(client: SplitClient, texts: readonly string[]): void {
    const catalog = this.#catalogOf(client.pool).current(client.pool)
    const classifier = this.#loaded?.classifier
    if (classifier === undefined || catalog === undefined) return
    if (this.#refused.size >= REFUSED_MAX) this.#refused.clear()
    for (const text of texts) {
      const { fingerprint = '' } = classifier.classify(this.#question(client, text, catalog))
      this.#refused.add(fingerprint)
      this.#log.warn('A replica refused what was held for a read: the primary runs it', {
        database: client.pool.database,
        statement: fingerprint.slice(0, 500),
      })
    }
  }

  report(): SplitReport {
    const { classifier, parseTimeMs } = this.#loaded ?? {}
    return {
      cache: classifier && parseTimeMs && { ...classifier.counts(), parseTimeMs: parseTimeMs() },
      refusedByReplicas: this.#refused.size,
      statements: this.#counts.statements,
      fingerprints: classifier?.reasons() ?? new Map(),
    }
  }

  #classify(client: SplitClient, text: string, catalog: Catalog): Answer {
    const question = this.#question(client, text, catalog)
    if (this.#loaded !== undefined) return this.#loaded.classifier.classify(question)
    const effects = unclassifiedEffects(text, question)
    return { verdict: { kind: 'unknown', reason: 'TOO_MANY_NEW_STATEMENTS', statementCount: 0, effects } }
  }

  #question(client: SplitClient, text: string, catalog: Catalog): Question {
    return {
      text,
      catalog,
      standardStrings: settingOf(client, 'standard_conforming_strings') === 'on',
      encoding: settingOf(client, 'client_encoding') ?? 'UTF8',
      nowMs: this.#place.now(),
    }
  }

  #catalogOf({ database }: Pool): DatabaseCatalog {
    const known = this.#catalogs.get(database)
    if (known !== undefined) return known
    const catalog = new DatabaseCatalog({ log: this.#log, now: () => this.#place.now() })
    this.#catalogs.set(database, catalog)
    return catalog
  }
}

/** As the server reports it for this client. */
export function settingOf({ settings, pool }: SplitClient, name: string): string | undefined {
  return settings.get(name) ?? pool.welcome?.get(name)
}
