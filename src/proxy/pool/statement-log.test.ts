import { describe, expect, it } from 'vitest'
import { silentLogger, type LogFields } from '../../platform/log.ts'
import { mergeStatements, StatementLog } from './statement-log.ts'

const POOL = { database: 'app', user: 'me' }

function log({ trackStatements = true, logMinDurationMs = 0 } = {}) {
  const lines: LogFields[] = []
  const logger = { ...silentLogger(), warn: (_: string, fields?: LogFields) => void lines.push(fields ?? {}) }
  const statements = new StatementLog(logger, () => ({ trackStatements, logMinDurationMs }))
  const ran = (text: string | undefined, { tookMs = 1, hasFailed = false, pool = POOL } = {}) =>
    statements.ended({ pool, text, standardStrings: true, tookMs, hasFailed })
  return { statements, lines, ran, shown: () => statements.report().map(({ statement }) => statement) }
}

describe('statements are counted', () => {
  it('by fingerprint, those that took most of the time first', () => {
    const { ran, statements } = log()
    ran('SELECT * FROM t WHERE id = 1;', { tookMs: 2 })
    ran('select  *  from t where id = 2 -- a comment', { tookMs: 5, hasFailed: true })
    ran('delete from t', { tookMs: 100 })
    expect(statements.report()).toMatchObject([
      { statement: 'delete from t', calls: 1, errors: 0, totalMs: 100 },
      { calls: 2, errors: 1, totalMs: 7, maxMs: 5, database: 'app', user: 'me' },
    ])
  })

  it.each([
    ["alter role app password 's3cret'", 'alter role …'],
    ["create user app password 's3cret'", 'create user …'],
    ["set my.token = 's3cret'", 'set my …'],
    ["select 1; alter role app password 's3cret'", 'select …'],
    ["select 's3cret'", /^select/],
    ["insert into t values ('s3cret'), ('s3cret')", /^insert into t/],
    ["do $$ begin perform 's3cret'; end $$", 'do …'],
    ["notify x, 's3cret'", 'notify x …'],
    ["select 's3cret", '(broken)'],
    [`select '${'s3cret'.repeat(10)}' ${'x'.repeat(20_000)}`, '(too long)'],
    [undefined, '(in pieces)'],
  ])('without any constant, which may be a secret: %s', (text, shown) => {
    const { ran, statements, lines } = log({ logMinDurationMs: 1 })
    ran(text)
    const [statement = ''] = statements.report().map((one) => one.statement)
    if (typeof shown === 'string') expect(statement).toBe(shown)
    else expect(statement).toMatch(shown)
    expect(JSON.stringify([statement, lines])).not.toContain('s3cret')
  })

  it('within a bound: what is used stays', () => {
    const { ran, statements } = log()
    for (let number = 0; number < 10_000; number += 1) {
      ran(`select c${number} from t`)
      if (number % 100 === 0) ran('select often from t', { tookMs: 1000 })
    }
    expect(statements.report()[0]).toMatchObject({ statement: 'select often from t', calls: 100 })
    expect(statements.report().length).toBeLessThanOrEqual(200)
  })

  it('only where somebody wants it, and those of all workers are one', () => {
    const off = log({ trackStatements: false })
    off.ran('select 1')
    expect([off.statements.isOn, off.shown()]).toEqual([false, []])
    const [one, other] = [log(), log()]
    one.ran('select 1', { tookMs: 1 })
    other.ran('select 2', { tookMs: 3 })
    const merged = mergeStatements([...one.statements.report(), ...other.statements.report()])
    expect(merged).toMatchObject([{ calls: 2, totalMs: 4, maxMs: 3 }])
  })
})

describe('a slow statement', () => {
  it('has a line in the log, others have none', () => {
    const { ran, lines, shown } = log({ trackStatements: false, logMinDurationMs: 50 })
    ran('select 1', { tookMs: 49 })
    ran('update t set a = 5', { tookMs: 50.4, hasFailed: true })
    expect(lines).toMatchObject([{ database: 'app', user: 'me', durationMs: 50, failed: true }])
    expect(lines[0]?.['statement']).toMatch(/^update t set a = /)
    expect(shown()).toEqual([])
  })
})
