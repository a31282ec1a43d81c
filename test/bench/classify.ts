import { corpusRows } from '../support/statement-corpus.ts'
import { percentile } from '../support/bench-report.ts'
import { catalogFrom } from '../../src/sql/catalog.ts'
import { Classifier, CLASSIFIER_LIMITS } from '../../src/sql/classifier.ts'
import { FingerprintWriter } from '../../src/sql/fingerprint.ts'
import { loadGrammar } from '../../src/sql/grammar.ts'

/**
 * `npm run bench -- classify`: what a verdict costs a router, for a statement that it has seen (lexer, fingerprint and a look into
 * the cache) and for a new one (the grammar as well). Medians of rounds, in microseconds for one statement, on one core.
 */

const ROUNDS = 30
const HITS_PER_ROUND = 20_000
const MISSES_PER_ROUND = 500

const columns = Array.from({ length: 12 }, (_, at) => `u.column_${at}`).join(', ')
const STATEMENTS = {
  'point select': 'SELECT * FROM t WHERE id = 4711',
  'pgbench -S': 'SELECT abalance FROM pgbench_accounts WHERE aid = 12345;',
  'select of an ORM': `SELECT ${columns}, r.name AS role FROM users u LEFT JOIN roles r ON r.id = u.role_id WHERE u.tenant_id = $1 AND u.state IN ('a', 'b', 'c') AND lower(u.name) LIKE 'x%' ORDER BY u.created_at DESC LIMIT 50 OFFSET 100`,
  'insert of 100 rows': `INSERT INTO t (id, n, name) VALUES ${Array.from({ length: 100 }, (_, at) => `(${at}, ${at * 7}, 'name ${at}')`).join(', ')}`,
} as const

const grammar = await loadGrammar()
const catalog = catalogFrom(corpusRows)
const overrides = { read: new Set<string>(), write: new Set<string>() }
const limits = { ...CLASSIFIER_LIMITS, parsesPerSecond: 1_000_000 }

function microseconds(count: number, run: (index: number) => void): number {
  const begun = performance.now()
  for (let index = 0; index < count; index += 1) run(index)
  return ((performance.now() - begun) * 1000) / count
}

function median(count: number, run: (index: number) => void): string {
  const rounds = Array.from({ length: ROUNDS }, () => microseconds(count, run))
  return percentile(rounds.slice(ROUNDS / 3), 50).toFixed(2)
}

for (const [name, text] of Object.entries(STATEMENTS)) {
  const classifier = new Classifier(grammar, overrides, limits)
  const ask = (statement: string) =>
    classifier.classify({ text: statement, standardStrings: true, catalog, nowMs: performance.now() })
  const writer = new FingerprintWriter()
  const written = median(HITS_PER_ROUND, () => void writer.write(text, { standardStrings: true }))
  const hit = median(HITS_PER_ROUND, () => void ask(text))
  let made = 0
  const miss = median(
    MISSES_PER_ROUND,
    () =>
      void ask(
        `${text.replace(';', '')} /* */ -- ${made}\n;`.replace(
          /\bt\b|users|pgbench_accounts/,
          `t${(made += 1)}`,
        ),
      ),
  )
  process.stdout.write(
    `${name} (${text.length} signs): fingerprint ${written} µs, hit ${hit} µs, miss ${miss} µs\n`,
  )
}
