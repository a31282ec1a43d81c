import fc from 'fast-check'

/**
 * Statements made of the pieces of the grammar, over the database of statement-corpus.ts: most of them run there, and whether
 * they write depends on a piece anywhere. `«n»` and `«s»` stand for constants.
 */
const NUMBER = '«n»'
const TEXT = '«s»'

type Nodes = { expression: string; query: string; source: string }

const { expression, query } = fc.letrec<Nodes>((tie) => {
  const sub = tie('expression')
  return {
    expression: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom(
        NUMBER,
        NUMBER,
        `length(${TEXT})`,
        'null::int',
        '(select max(id) from t)',
        'random()::int',
      ),
      fc.constantFrom(
        'writing_fn()',
        'default_fn()',
        `undeclared_fn(${NUMBER})`,
        `stable_fn(${NUMBER})`,
        "nextval('s')::int",
        `length(upper(${TEXT}))`,
        `length(pg_catalog.upper(${TEXT}))`,
        '(select (x).row_fn from t x limit 1)',
        '(select row_fn(x) from t x limit 1)',
        '(select writing_sum(id)::int from t)',
        'txid_current()::text::int',
      ),
      fc
        .tuple(sub, fc.constantFrom('+', '-', '*'), sub)
        .map(([one, sign, other]) => `(${one} ${sign} ${other})`),
      sub.map((one) => `coalesce(${one}, ${NUMBER})`),
      sub.map((one) => `case when ${one} > ${NUMBER} then ${NUMBER} else ${one} end`),
      fc.array(sub, { minLength: 1, maxLength: 3 }).map((all) => `greatest(${all.join(', ')})`),
      sub.map((one) => `(array[${one}, ${NUMBER}])[1]`),
      tie('query').map((inner) => `(select count(*)::int from (${inner}) q)`),
      tie('query').map((inner) => `(exists (${inner}))::int`),
    ),
    source: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom('t', 'plain_view', 'kept', 'guarded', 'parted_low', 'generate_series(1, 2) g (id)'),
      fc.constantFrom('fleeting', 'counting_view', 'deep_view', 'booby', 'parted', 'writing_fn() w (id)'),
      tie('query').map((inner) => `(${inner}) q`),
      sub.map((one) => `(values (${one}), (${NUMBER})) v (id)`),
      sub.map((one) => `t, lateral (select ${one} as b) l`),
    ),
    query: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      sub.map((one) => `select ${one} as a`),
      fc.tuple(sub, tie('source')).map(([one, source]) => `select ${one} as a from ${source}`),
      fc
        .tuple(tie('source'), sub)
        .map(([source, one]) => `select 1 as a from ${source} where ${one} > ${NUMBER}`),
      fc
        .tuple(tie('source'), sub)
        .map(([source, one]) => `select 1 as a from ${source} order by ${one} limit ${NUMBER}`),
      sub.map((one) => `select id as a from t where id in (${NUMBER}, ${one}) for update`),
      fc.tuple(tie('query'), tie('query')).map(([one, other]) => `(${one}) union all (${other})`),
      fc.tuple(tie('query'), sub).map(([inner, one]) => `with c as (${inner}) select ${one} as a from c`),
      fc.constantFrom(
        `with c as (update t set n = ${NUMBER} returning id) select id as a from c`,
        `with counting_view as (select ${NUMBER} as a) select a from counting_view`,
        `select ${NUMBER} as a group by grouping sets ((), ())`,
      ),
    ),
  }
})

export const statements: fc.Arbitrary<string> = fc.oneof(
  { arbitrary: query, weight: 6 },
  fc.constantFrom(
    `update t set name = ${TEXT} where id = ${NUMBER}`,
    `insert into t (id, n) values (${NUMBER}, ${NUMBER}), (${NUMBER}, null)`,
    `delete from t where id in (${NUMBER}, ${NUMBER})`,
    'table t',
  ),
  query.map((inner) => `explain (analyze, costs off) ${inner}`),
  query.map((inner) => `explain ${inner}`),
  query.map((inner) => `create temp table made on commit drop as ${inner}`),
  query.map((inner) => `declare c cursor for ${inner}`),
  expression.map((one) => `values (${one}), (${NUMBER})`),
)

const numbers = fc.constantFrom('0', '1', '17', '1.5', '1e2', '0x1F')
const texts = fc.constantFrom("'a'", "''", "E'\\''", "'it''s'", '$$x$$', "'for update'", "'a'\n'b'")

/** A text with constants for what stands for them. */
export function fill(text: string, constants: { readonly number: string; readonly text: string }): string {
  return text.replaceAll(NUMBER, () => constants.number).replaceAll(TEXT, () => constants.text)
}

/** Two ways to fill it. */
export const constants = fc.record({ number: numbers, text: texts })
