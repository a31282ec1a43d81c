import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { eventually } from '../../test/support/eventually.ts'
import { describePostgres, freePort, running, SUPERUSER, Workspace } from '../../test/support/postgres.ts'
import { fill, statements } from '../../test/support/sql-generator.ts'
import { CORPUS_SCHEMA, statementCorpus } from '../../test/support/statement-corpus.ts'
import { CATALOG_QUERY, catalogFrom, type Catalog, type CatalogRow } from './catalog.ts'
import { Classifier, CLASSIFIER_LIMITS } from './classifier.ts'
import { loadGrammar } from './grammar.ts'
import type { Verdict } from './verdict.ts'

const parameters = {
  shared_buffers: '16MB',
  max_connections: '20',
  max_prepared_transactions: '5',
  autovacuum: 'off',
  statement_timeout: '5s',
}

/** What a hot standby says to whom it cannot serve: read-only, not supported or not possible during recovery. */
const REFUSALS = new Set(['25006', '0A000', '55000'])

describePostgres('what is classified, beside a primary and a hot standby', (postgres) => {
  let workspace: Workspace
  let primary: pg.Client
  let standby: pg.Client
  let catalog: Catalog
  let classifier: Classifier
  const clients: pg.Client[] = []

  const connect = async (port: number) => {
    const { name: user, password } = SUPERUSER
    const client = new pg.Client({ host: '127.0.0.1', port, user, password, database: 'postgres' })
    client.on('error', () => {})
    await client.connect()
    clients.push(client)
    return client
  }
  const readCatalog = async (client: pg.Client) =>
    catalogFrom((await client.query<CatalogRow>(CATALOG_QUERY)).rows)
  const classify = (text: string): Verdict =>
    classifier.classify({ text, standardStrings: true, catalog, nowMs: 0 }).verdict

  beforeAll(async () => {
    workspace = new Workspace(postgres())
    const ports = { n1: await freePort(), n2: await freePort() }
    const n1 = await workspace.instance('n1', { port: ports.n1, parameters })
    const n2 = await workspace.instance('n2', { port: ports.n2, parameters })
    await n1.initialise({ users: [], databases: [], initdbArgs: [] })
    await running(n1.start({ as: 'primary' }))
    primary = await connect(ports.n1)
    await primary.query(CORPUS_SCHEMA)
    await n2.clone({ source: { host: '127.0.0.1', port: ports.n1 } })
    await running(n2.start({ as: 'standby', follow: { host: '127.0.0.1', port: ports.n1 } }))
    standby = await connect(ports.n2)
    await eventually('the standby has the schema', async () => {
      const { rows } = await standby.query<{ there: boolean }>(
        "select to_regrole('reader') is not null as there",
      )
      return rows[0]?.there
    })
    catalog = await readCatalog(standby)
    const none = { read: new Set<string>(), write: new Set<string>() }
    classifier = new Classifier(await loadGrammar(), none, {
      ...CLASSIFIER_LIMITS,
      parsesPerSecond: 1_000_000,
    })
  })
  afterAll(async () => {
    for (const client of clients) await client.end().catch(() => {})
    await workspace.dispose()
  })

  /** The SQLSTATE with which the statement fails on the standby, in a transaction as a driver would open it. */
  const failureOnStandby = async (sql: string): Promise<string | undefined> => {
    await standby.query('begin')
    try {
      await standby.query(sql)
      return undefined
    } catch (error) {
      return (error as { code?: string }).code ?? String(error)
    } finally {
      await standby.query('rollback')
      await standby.query('discard all')
    }
  }
  /** Does it need a transaction id on the primary: has it written anything? */
  const writesOnPrimary = async (sql: string): Promise<boolean> => {
    await primary.query('begin')
    try {
      await primary.query(sql)
      const { rows } = await primary.query<{ xid: string | null }>(
        'select pg_current_xact_id_if_assigned()::text as xid',
      )
      return rows[0]?.xid !== null
    } finally {
      await primary.query('rollback')
    }
  }

  it('the catalog of a real database gives every statement of the corpus its verdict', () => {
    for (const { sql, kind, reason, effects } of statementCorpus) {
      const verdict = classify(sql)
      expect({ sql, kind: verdict.kind, reason: verdict.reason, about: verdict.about }).toMatchObject({
        sql,
        kind,
        reason,
      })
      if (effects !== undefined) expect({ sql, effects: verdict.effects }).toEqual({ sql, effects })
    }
  })

  it('every read of the corpus runs on the standby', async () => {
    const reads = statementCorpus.filter(({ kind, sql }) => kind === 'read' && !sql.includes('to stdout'))
    expect(reads.length).toBeGreaterThan(30)
    for (const { sql } of reads) expect(`${sql}: ${await failureOnStandby(sql)}`).toBe(`${sql}: undefined`)
  })

  it('what the standby refuses is no read', async () => {
    let refused = 0
    for (const { sql, kind } of statementCorpus) {
      // The driver has no COPY; these would leave the transaction or wait.
      if (/^(copy|commit|end|abort|prepare transaction|checkpoint)/.test(sql)) continue
      const failure = await failureOnStandby(sql)
      if (failure === undefined || !REFUSALS.has(failure)) continue
      refused += 1
      expect(`${sql}: ${kind}`).not.toBe(`${sql}: read`)
    }
    expect(refused).toBeGreaterThan(40)
  })

  it('of any statement that the grammar allows, what writes or is refused by the standby is no read', async () => {
    const seen = { read: 0, refused: 0, wrote: 0 }
    await fc.assert(
      fc.asyncProperty(statements, async (template) => {
        const sql = fill(template, { number: '1', text: "'a'" })
        const { kind } = classify(sql)
        const failure = await failureOnStandby(sql)
        if (kind === 'read') {
          seen.read += 1
          // A statement may fail for its own reasons, on both alike.
          expect(REFUSALS.has(failure ?? '')).toBe(false)
        }
        if (failure !== undefined && REFUSALS.has(failure)) seen.refused += 1
        const wrote = await writesOnPrimary(sql).catch(() => false)
        if (wrote) {
          seen.wrote += 1
          expect(kind).not.toBe('read')
        }
      }),
      { numRuns: 600, endOnFailure: true },
    )
    // All three happened: the test has seen what it is about.
    expect(Math.min(seen.read, seen.refused, seen.wrote)).toBeGreaterThan(20)
  })

  it('knows the volatility of aggregates, harmless functions and overloads as they are', () => {
    const volatility = (name: string, schema?: string) =>
      catalog.volatilityOf(schema === undefined ? { name } : { schema, name })
    expect(volatility('count')).toBe('immutable')
    expect(volatility('writing_sum')).toBe('volatile')
    expect(volatility('random')).toBe('stable')
    expect(volatility('now')).toBe('stable')
    expect(volatility('nextval')).toBe('volatile')
    // The worst of all schemas where none is named.
    expect(volatility('upper')).toBe('volatile')
    expect(volatility('upper', 'pg_catalog')).toBe('immutable')
    expect(volatility('nobody_knows')).toBeUndefined()
    expect(catalog.isVolatileField('row_fn')).toBe(true)
    expect(catalog.unusual).toBeUndefined()
  })

  it.each([
    ['an operator', 'create operator === (leftarg = int, rightarg = int, function = step)', 'operator ==='],
    [
      'a cast',
      'create function to_text(t) returns text language sql as $$select 1::text$$; create cast (t as text) with function to_text(t)',
      'cast to text',
    ],
    [
      'a domain',
      'create function holds(int) returns boolean language sql as $$select true$$; create domain d as int check (holds(value))',
      'domain d',
    ],
  ])('%s that calls a volatile function makes every expression doubtful', async (_, made, unusual) => {
    await primary.query('begin')
    await primary.query(made)
    expect((await readCatalog(primary)).unusual).toBe(unusual)
    await primary.query('rollback')
  })

  it('strings end where this PostgreSQL ends them', async () => {
    const texts = [
      String.raw`select 'a\' as x`,
      String.raw`select 'a\'' as x`,
      String.raw`select E'a\'' as x`,
      String.raw`select U&'\0041' as x`,
      `select 'a'\n'b' as x`,
      `select 'a' /* x */ 'b' as x`,
      `select $a$ ' $$ $a$ as x`,
      `select 1 /* /* */ as x`,
      `select 1 -- as x`,
      String.raw`select N'a\'b' as x`,
    ]
    for (const standardStrings of [true, false]) {
      await standby.query(
        `set standard_conforming_strings = ${standardStrings ? 'on' : 'off'}; set backslash_quote = on`,
      )
      for (const text of texts) {
        const isRefused = await standby.query(text).then(
          () => false,
          () => true,
        )
        const { verdict } = classifier.classify({ text, standardStrings, catalog, nowMs: 0 })
        expect(`${standardStrings} ${text} ${verdict.kind !== 'read'}`).toBe(
          `${standardStrings} ${text} ${isRefused}`,
        )
      }
    }
    await standby.query('discard all')
  })
})
