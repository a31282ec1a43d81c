import { parseLsn } from '../../model/lsn.ts'
import type { RouteTarget, RoutingTable } from '../../model/routing-table.ts'
import type { Logger } from '../../platform/log.ts'
import type { Catalog } from '../../sql/catalog.ts'
import type { Answer, Question } from '../../sql/classifier.ts'
import { unclassifiedEffects } from '../../sql/unclassified.ts'
import type { Verdict } from '../../sql/verdict.ts'
import { messageOf } from '../../std/fault.ts'
import { MiB } from '../../std/units.ts'
import type { Pool } from '../pool/pool.ts'
import type { SessionSettings } from '../pool/tracked-settings.ts'
import { DatabaseCatalog } from './database-catalog.ts'
import { Freshness } from './freshness.ts'
import { askServer } from '../pool/server-question.ts'
import type { LoadedClassifier } from './load-classifier.ts'
import { SplitCounts, type SplitReport } from './split-counts.ts'

/** What the split needs from the pooler around it. */
export interface SplitPlace {
  now(): number
  table(): RoutingTable | undefined
  /** The pool of the same user and database on a replica. */
  replicaPool(pool: Pool, target: RouteTarget): Pool
  /** Whether the replica may be dialled now. */
  mayDial(target: RouteTarget): boolean
}

/** A client that wants to run something, outside of a transaction. */
export type SplitClient = {
  readonly pool: Pool
  readonly settings: Pick<SessionSettings, 'get'>
  /** When something other than a read ended last. */
  readonly committedAt: number | undefined
}

/** A statement that a client sent: what it is, as far as a replica is concerned. */
export type Judged = Omit<Answer, 'verdict'> & { readonly verdict: Verdict }

/** A replica that is further behind is not used: what it says is too old for anybody. */
const LAG_BYTES_MAX = 16 * MiB
/** Of a database that nobody has asked yet. */
const NO_CATALOG: Catalog = {
  volatilityOf: () => undefined,
  relationOf: () => undefined,
  isVolatileField: () => false,
  unusual: undefined,
}
/** Fingerprints that replicas refused, and pools whose transactions are none for them; then they are learnt anew. */
const REFUSED_MAX = 1000
/** Positions are asked for at most this often. */
const SAMPLE_EVERY_MS = 20
const PRIMARY_POSITION = 'select pg_catalog.pg_current_wal_insert_lsn()'
const REPLAYED_POSITION = 'select pg_catalog.pg_last_wal_replay_lsn()'

/**
 * The read/write split of the pooled port: reads, and transactions that only read, go to a replica that has everything that the session
 * committed, everything else to the primary. What is not known (the grammar is being loaded, no catalog yet, no replica that
 * is fresh enough) is the primary's.
 */
export class ReadSplit {
  readonly #log: Logger
  readonly #place: SplitPlace
  readonly #catalogs = new Map<string, DatabaseCatalog>()
  readonly #freshness = new Freshness()
  readonly #refused = new Set<string>()
  /** By name: their transactions are SERIALIZABLE unless they say otherwise, which no standby can do. */
  readonly #serializable = new Set<string>()
  readonly #counts = new SplitCounts()
  #loaded: LoadedClassifier | undefined
  #turn = 0
  #isSampling = false
  /** Replicas that have not answered yet. */
  readonly #asked = new Set<string>()
  #sampledAt = Number.NEGATIVE_INFINITY

  constructor(
    deps: { readonly log: Logger; readonly place: SplitPlace },
    loading: Promise<LoadedClassifier>,
  ) {
    this.#log = deps.log
    this.#place = deps.place
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
  judge(client: SplitClient, texts: readonly string[]): readonly Judged[] {
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

  /** The pool on a replica that has what the client committed; its own where there is none. */
  poolFor(client: SplitClient): Pool {
    const { pool } = client
    const table = this.#place.table()
    if (table === undefined || table.replicas.length === 0 || this.#serializable.has(pool.name)) return pool
    this.#freshness.epochIs(table.epoch)
    const target = this.#pick(client, table)
    return target === undefined ? pool : this.#place.replicaPool(pool, target)
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

  /** In turn, among those that are near enough, answer, and have what the session committed. */
  #pick(client: SplitClient, { replicas, primary }: RoutingTable): RouteTarget | undefined {
    let isStale = false
    this.#turn = (this.#turn + 1) % Number.MAX_SAFE_INTEGER
    for (let step = 0; step < replicas.length; step += 1) {
      const target = replicas[(this.#turn + step) % replicas.length]
      if (target === undefined || target.lagBytes > LAG_BYTES_MAX || !this.#place.mayDial(target)) continue
      if (this.#freshness.has(target.name, client.committedAt)) return target
      isStale = true
    }
    if (isStale && primary !== undefined) this.#sample(client, replicas)
    return undefined
  }

  /** Asks the primary where it is, then the replicas how far they are: by pools that are there anyway. */
  #sample(client: SplitClient, replicas: readonly RouteTarget[]): void {
    const askedAt = this.#place.now()
    if (this.#isSampling || askedAt - this.#sampledAt < SAMPLE_EVERY_MS) return
    this.#sampledAt = askedAt
    const { committedAt = askedAt, pool } = client
    // Order: an older position is enough where it was asked for later than this session committed. A newer one would run away
    // from the replicas: reads write as well (hint bits), and nobody hurries to flush that.
    if (this.#freshness.position !== undefined && this.#freshness.position.askedAt > committedAt) {
      return this.#askReplicas(pool, replicas)
    }
    this.#isSampling = true
    const { epoch } = this.#place.table() ?? {}
    askServer(pool, { text: PRIMARY_POSITION, now: askedAt }, (rows) => {
      this.#isSampling = false
      const lsn = parseLsn(rows?.[0]?.[0] ?? '')
      // Order: what was asked in another epoch says nothing in this one.
      if (lsn === undefined || this.#place.table()?.epoch !== epoch) return
      this.#freshness.primaryIs({ askedAt, lsn })
      this.#askReplicas(pool, replicas)
    })
  }

  #askReplicas(pool: Pool, replicas: readonly RouteTarget[]): void {
    const { position } = this.#freshness
    for (const target of replicas) {
      if (this.#asked.has(target.name)) continue
      this.#asked.add(target.name)
      const own = this.#place.replicaPool(pool, target)
      askServer(own, { text: REPLAYED_POSITION, now: this.#place.now() }, (rows) => {
        this.#asked.delete(target.name)
        const lsn = parseLsn(rows?.[0]?.[0] ?? '')
        if (lsn !== undefined && position !== undefined) this.#freshness.replayed(target.name, lsn, position)
      })
    }
  }
}

/** As the server reports it for this client. */
export function settingOf({ settings, pool }: SplitClient, name: string): string | undefined {
  return settings.get(name) ?? pool.welcome?.get(name)
}
