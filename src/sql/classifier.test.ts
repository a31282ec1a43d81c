import { describe, expect, it } from 'vitest'
import { corpusRows, statementCorpus } from '../../test/support/statement-corpus.ts'
import { catalogFrom, type Catalog } from './catalog.ts'
import { Classifier, CLASSIFIER_LIMITS, type ClassifierLimits } from './classifier.ts'
import { DEPTH_MAX, FINGERPRINT_LENGTH_MAX } from './fingerprint.ts'
import { loadGrammar } from './grammar.ts'
import type { FunctionOverrides } from './judge.ts'

const grammar = await loadGrammar()
const catalog = catalogFrom(corpusRows)
const NO_OVERRIDES: FunctionOverrides = { read: new Set(), write: new Set() }
const unlimited: ClassifierLimits = { ...CLASSIFIER_LIMITS, parsesPerSecond: 1_000_000 }

function createClassifier(limits: ClassifierLimits = unlimited, overrides = NO_OVERRIDES): Classifier {
  return new Classifier(grammar, overrides, limits)
}

type Asked = {
  readonly nowMs?: number
  readonly catalog?: Catalog
  readonly standardStrings?: boolean
  readonly encoding?: string
}

function ask(classifier: Classifier, text: string, asked: Asked = {}) {
  return classifier.classify({ text, standardStrings: true, catalog, nowMs: 0, ...asked })
}

describe('every trap of the corpus', () => {
  const classifier = createClassifier()
  it.each(statementCorpus)('$sql is $kind: $reason', ({ sql, kind, reason, effects }) => {
    const { verdict } = ask(classifier, sql)
    expect(verdict).toMatchObject({ kind, reason })
    if (effects !== undefined) expect(verdict.effects).toEqual(effects)
    else if (reason !== 'CHANGES_SESSION') expect(verdict.effects).toEqual([])
    // What is asked for again is answered from memory, and says the same.
    expect(ask(classifier, `${sql}\n`).verdict).toEqual(verdict)
  })
})

describe('what only newer PostgreSQL knows is read as well', () => {
  const classifier = createClassifier()
  it.each([
    "select json_object('a': 1), json_array(1, 2), json_value('{}', '$.a' default 1 on error), '{}' is json",
    "select * from t, json_table(doc, '$[*]' columns (a int path '$.a', nested path '$.b' columns (b text))) j",
    "select json_query(doc, '$' with wrapper), json_exists(doc, '$.a'), json_serialize(doc), json_scalar(1) from t",
    'select json_arrayagg(n), json_objectagg(name: n) from t',
    "select x.* from t, xmltable('/a' passing '<a/>' columns b text path 'b') x",
    "select xmlelement(name a, n), xmlforest(n as b), xmlserialize(content '<a/>' as text) from t",
    'select any_value(n) from t',
    'with recursive r (n) as (select 1 union all select n + 1 from r) search depth first by n set o cycle n set c using p select * from r',
    'select * from t group by distinct rollup (n), cube (name)',
    'select sum(n) over w from t window w as (partition by name rows between unbounded preceding and current row exclude ties)',
  ])('%s', (sql) => {
    const rows = 'any_value json_arrayagg'
      .split(' ')
      .map((name) => ({ kind: 'function', schema: 'pg_catalog', name, fact: 'i', queries: '[]' }) as const)
    expect(ask(classifier, sql, { catalog: catalogFrom([...corpusRows, ...rows]) }).verdict).toMatchObject({
      kind: 'read',
    })
  })
})

describe('a verdict says what it is about', () => {
  const classifier = createClassifier()
  it.each([
    ['select hidden.allowed()', 'hidden.allowed'],
    ['select * from deep_view', 'deep_view: counting_view: nextval'],
    ['select * from nobody.knows', 'nobody.knows'],
    ['select last_value from s', 's: sequence'],
    ['create function f() returns int language sql as $$$$', 'CREATE FUNCTION'],
    ['with x as (insert into t values (1)) select 1', 'INSERT'],
    ['select 1 from', 'syntax error at end of input'],
  ])('%s: %s', (sql, about) => {
    expect(ask(classifier, sql).verdict.about).toBe(about)
  })
})

describe('the catalog', () => {
  it('is asked again when there is another one, and the grammar is not', () => {
    const classifier = createClassifier({ ...unlimited, parsesPerSecond: 1 })
    expect(ask(classifier, 'select undeclared_fn(1)').verdict.reason).toBe('VOLATILE_FUNCTION')
    const rows = corpusRows.map((row) => (row.name === 'undeclared_fn' ? { ...row, fact: 's' } : row))
    const changed = catalogFrom(rows)
    expect(ask(classifier, 'select undeclared_fn(1)', { catalog: changed }).verdict.kind).toBe('read')
    expect(classifier.counts()).toMatchObject({ hits: 1, misses: 1 })
  })

  it('where any expression may call a volatile function nothing is a read', () => {
    const row = { kind: 'unusual', schema: '', name: 'operator ===', fact: '', queries: '[]' } as const
    const unusual = catalogFrom([...corpusRows, row])
    expect(ask(createClassifier(), 'select 1', { catalog: unusual }).verdict).toMatchObject({
      kind: 'unknown',
      reason: 'UNUSUAL_CATALOG',
      about: 'operator ===',
    })
  })

  it('does not run in circles where views do', () => {
    const view = (name: string, query: string) =>
      ({ kind: 'relation', schema: 'public', name, fact: 'runs', queries: JSON.stringify([query]) }) as const
    const circle = catalogFrom([view('a', 'select * from b'), view('b', 'select * from a, t'), ...corpusRows])
    expect(ask(createClassifier(), 'select * from a', { catalog: circle }).verdict.kind).toBe('read')
  })

  it('of what an operator says about a function counts first', () => {
    const overrides = { read: new Set(['undeclared_fn']), write: new Set(['public.stable_fn', 'row_number']) }
    const classifier = createClassifier(unlimited, overrides)
    expect(ask(classifier, 'select undeclared_fn(1)').verdict.kind).toBe('read')
    expect(ask(classifier, 'select public.stable_fn(1)').verdict).toMatchObject({
      kind: 'write',
      reason: 'CONFIGURED',
    })
    expect(ask(classifier, 'select row_number() over ()').verdict.kind).toBe('write')
  })
})

describe('hints', () => {
  const classifier = createClassifier()
  it.each([
    ['/* pg-metako: primary */ select 1', 'unknown', 'HINT'],
    ['select 1 -- pg-metako:primary', 'unknown', 'HINT'],
    ['select undeclared_fn(1) /* pg-metako: replica */', 'read', 'HINT'],
    ['select * from pg_class /* trace=1 pg-metako: replica */', 'read', 'HINT'],
    ['/* pg-metako: replica */ /* pg-metako: primary */ select 1', 'unknown', 'HINT'],
    ['/* pg-metako: elsewhere */ select 1', 'read', 'READS_ONLY'],
    ["select 'pg-metako: primary'", 'read', 'READS_ONLY'],
    // It never makes a read of a write, nor of what belongs to its session or transaction.
    ['/* pg-metako: replica */ delete from t', 'write', 'CHANGES_DATA'],
    ['/* pg-metako: replica */ select * from t for update', 'write', 'LOCKS_ROWS'],
    ['/* pg-metako: replica */ begin', 'unknown', 'CONTROLS_TRANSACTION'],
    ['/* pg-metako: replica */ select setseed(1)', 'unknown', 'CHANGES_SESSION'],
    ['/* pg-metako: replica */ selec', 'unknown', 'SYNTAX'],
    ["/* pg-metako: replica */ select 'a", 'unknown', 'BROKEN'],
  ])('%s: %s %s', (sql, kind, reason) => {
    expect(ask(classifier, sql).verdict).toMatchObject({ kind, reason })
  })

  it('do not stay behind in the memory', () => {
    expect(ask(classifier, 'select 7 /* pg-metako: primary */').verdict.reason).toBe('HINT')
    expect(ask(classifier, 'select 7').verdict.reason).toBe('READS_ONLY')
  })
})

describe('a string', () => {
  it('ends where the session says, so that nothing hides in it', () => {
    const classifier = createClassifier()
    const sql = String.raw`select 'a\'; delete from t; --'`
    expect(ask(classifier, sql, { standardStrings: true }).verdict.kind).toBe('write')
    expect(ask(classifier, sql, { standardStrings: false }).verdict.kind).toBe('read')
  })

  it('that decides is read as its session reads it', () => {
    const effects = (standardStrings: boolean) =>
      ask(createClassifier(), String.raw`set a.b = 'x\\y'`, { standardStrings }).verdict.effects
    expect(effects(true)).toEqual([{ kind: 'set', name: 'a.b', value: String.raw`x\\y`, local: false }])
    expect(effects(false)).toEqual([{ kind: 'set', name: 'a.b', value: String.raw`x\y`, local: false }])
  })
})

describe('an encoding whose letters may end in a backslash', () => {
  it('is not read, and its session keeps its backend', () => {
    for (const encoding of ['SJIS', 'big5', 'GB18030']) {
      expect(ask(createClassifier(), 'select 1', { encoding }).verdict).toEqual({
        kind: 'unknown',
        reason: 'UNSAFE_ENCODING',
        statementCount: 0,
        effects: [{ kind: 'pin', cause: 'not-classified' }],
      })
    }
    expect(ask(createClassifier(), 'select 1', { encoding: 'LATIN1' }).verdict.kind).toBe('read')
  })
})

describe('what is kept', () => {
  it('stays within its limits, and what is asked for again stays', () => {
    const limits = { ...unlimited, entriesMax: 20, bytesMax: 1_000_000 }
    const classifier = createClassifier(limits)
    for (let round = 0; round < 200; round += 1) {
      ask(classifier, 'select count(*) from t')
      ask(classifier, `select column_${round} from t`)
      expect(classifier.counts().entries).toBeLessThanOrEqual(20)
    }
    expect(classifier.counts().hits).toBe(199)
    expect(classifier.counts().misses).toBe(201)
  })

  it('counts bytes, not entries alone', () => {
    const classifier = createClassifier({ ...unlimited, bytesMax: 20_000 })
    for (let round = 0; round < 100; round += 1) {
      ask(classifier, `select "${'x'.repeat(1000)}${round}" from t`)
      expect(classifier.counts().bytes).toBeLessThanOrEqual(20_000)
    }
    expect(classifier.counts().entries).toBeGreaterThan(1)
  })
})

describe('a flood of statements that nobody saw before', () => {
  const limits = { ...CLASSIFIER_LIMITS, parsesPerSecond: 10 }

  it('is not parsed beyond the limit, and what is not parsed goes to the primary', () => {
    const classifier = createClassifier(limits)
    const reasons = Array.from(
      { length: 30 },
      (_, at) => ask(classifier, `select a${at} from t`).verdict.reason,
    )
    expect(reasons.filter((reason) => reason === 'READS_ONLY')).toHaveLength(10)
    expect(reasons.filter((reason) => reason === 'TOO_MANY_NEW_STATEMENTS')).toHaveLength(20)
    // What is known is answered all the same, and a second later there is room again.
    expect(ask(classifier, 'select a0 from t').verdict.kind).toBe('read')
    expect(ask(classifier, 'select b from t', { nowMs: 90 }).verdict.reason).toBe('TOO_MANY_NEW_STATEMENTS')
    expect(ask(classifier, 'select b from t', { nowMs: 110 }).verdict.kind).toBe('read')
    expect(classifier.counts().refused).toBe(21)
  })

  it('does not earn a bigger one by waiting, nor by a clock that stands', () => {
    const classifier = createClassifier(limits)
    const read = (nowMs: number) =>
      Array.from({ length: 50 }, (_, at) =>
        ask(classifier, `select a${at}_${nowMs} from t`, { nowMs }),
      ).filter(({ verdict }) => verdict.kind === 'read').length
    expect(read(1_000_000)).toBe(10)
    expect(read(2_000_000)).toBe(10)
    expect(read(1_500_000)).toBe(0)
  })

  it('pins where an unseen statement has a word that could pin, and only there', () => {
    const classifier = createClassifier({ ...limits, parsesPerSecond: 0 })
    const effects = (sql: string) => ask(classifier, sql).verdict.effects
    const pinned = [{ kind: 'pin', cause: 'not-classified' }]
    expect(effects('select a from t')).toEqual([])
    expect(effects("update t set a = 'listen'")).toEqual([])
    for (const sql of [
      'select Pg_Advisory_Lock(1)',
      'select 1; SET a = 1',
      'create temp table x ()',
      '"lastval"()',
    ]) {
      expect(effects(sql), sql).toEqual(pinned)
    }
  })
})

describe('what is too much for a grammar', () => {
  it.each([
    ['long', `select ${'a + '.repeat(FINGERPRINT_LENGTH_MAX)}1`, 'TOO_LONG'],
    ['deep', `select ${'('.repeat(DEPTH_MAX + 1)}1${')'.repeat(DEPTH_MAX + 1)}`, 'TOO_DEEP'],
  ])('is not parsed: too %s', (_, sql, reason) => {
    const classifier = createClassifier()
    expect(ask(classifier, sql).verdict).toMatchObject({ kind: 'unknown', reason })
    expect(classifier.counts().misses).toBe(0)
    expect(ask(classifier, `${sql} -- pg-metako: primary`).hint).toBe('primary')
  })

  it('a list of a million constants is not', () => {
    const list = Array.from({ length: 100_000 }, (_, at) => at).join(',')
    expect(ask(createClassifier(), `select * from t where id in (${list})`).verdict.kind).toBe('read')
    const rows = Array.from({ length: 50_000 }, (_, at) => `(${at}, 'x')`).join(',')
    const inserted = ask(createClassifier(), `insert into t values ${rows}`)
    expect(inserted.verdict.reason).toBe('CHANGES_DATA')
    expect(inserted.fingerprint).toBe('insert into t values ($1, $1)')
  })

  it('what just fits does not break it, however it nests', () => {
    const classifier = createClassifier()
    const nests = [
      '+ 0 ',
      '~ ',
      'not ',
      '- ',
      ':: a ',
      '[0] ',
      'union select 0 ',
      'is null ',
      'collate "C" ',
      'join t on a ',
    ]
    for (const nest of nests) {
      const count = Math.floor((FINGERPRINT_LENGTH_MAX - 40) / nest.length)
      for (const sql of [
        `select 1 from t ${nest.repeat(count)}`,
        `select ${nest.repeat(count)} 1`,
        `select x ${nest.repeat(count)}`,
      ]) {
        const { verdict } = ask(classifier, sql)
        expect(['READS_ONLY', 'SYNTAX', 'UNKNOWN_RELATION', 'TOO_LONG'], sql.slice(0, 40)).toContain(
          verdict.reason,
        )
        expect(verdict.about ?? '', sql.slice(0, 40)).not.toContain('stack')
      }
      expect(ask(classifier, `select ${nest.length} from t`).verdict.kind).toBe('read')
    }
  })
})
