import { describe, expect, it } from 'vitest'
import { runWords, type Outcome } from '../../test/support/command-line.ts'
import type { FakeWorld } from '../../test/support/fake-world.ts'

function classify(
  words: readonly string[],
  options: ConstructorParameters<typeof FakeWorld>[0] = {},
): Promise<Outcome> {
  return runWords(['classify', ...words], options)
}

describe('classify', () => {
  it('says verdict, reason, pins and fingerprint, and what the catalog would have to add', async () => {
    const { code, out: stdout } = await classify([
      '--format',
      'json',
      'select lower(name) from s.users where id in (1, 2)',
    ])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toEqual({
      kind: 'read',
      reason: 'READS_ONLY',
      statementCount: 1,
      goesTo: 'replica',
      effects: [],
      fingerprint: 'select lower (name) from s.users where id in ($1, $1)',
      assumes: { functions: ['lower'], relations: ['s.users'] },
      statements: [],
    })
  })

  it('of several statements says what each is, and what all are together', async () => {
    const { out: stdout } = await classify([
      '--format',
      'tsv',
      "select 1; select pg_advisory_lock(1); set a = 'b'",
    ])
    expect(stdout.trimEnd().split('\n')).toEqual([
      'kind\tgoes_to\treason\tabout\tsession\tstatement',
      'read\treplica\tREADS_ONLY\t\t\tselect 1',
      'write\tprimary\tUSES_ADVISORY_LOCK\tpg_advisory_lock\tpins it: advisory-lock\tselect pg_advisory_lock(1)',
      "unknown\tprimary\tCHANGES_SESSION\ta\tsets a\tset a = 'b'",
      "write\tprimary\tUSES_ADVISORY_LOCK\tpg_advisory_lock\tpins it: advisory-lock, sets a\tselect 1; select pg_advisory_lock(1); set a = 'b'",
    ])
  })

  it('says where a pooled session would run each of them, one message after the other', async () => {
    const { out } = await classify([
      '-f',
      'json',
      'begin read only; select 1; commit; begin; select 1; commit; select 1; listen x; select 1',
    ])
    const { goesTo, statements } = JSON.parse(out) as { goesTo: string; statements: { goesTo: string }[] }
    expect(statements.map((one) => one.goesTo).join(' ')).toBe(
      'router replica replica router primary primary replica primary primary',
    )
    expect(goesTo).toBe('primary')
  })

  it('tells people in a table what a statement does to its session', async () => {
    const { out: stdout } = await classify(['begin isolation level serializable read only, deferrable'])
    expect(stdout).toContain('CONTROLS_TRANSACTION')
    expect(stdout).toContain('begins serializable, read only, deferrable')
    expect(stdout).toContain('fingerprint: begin isolation level serializable read only, deferrable')
  })

  it('reads standard input where no SQL is given', async () => {
    const { out: stdout } = await classify([], { input: 'delete\n  from t' })
    expect(stdout).toMatch(/write.*CHANGES_DATA.*DELETE.*delete from t/)
  })

  it('reads strings as the session would', async () => {
    const sql = String.raw`select 'a\'; delete from t; --'`
    expect((await classify([sql])).out).toContain('CHANGES_DATA')
    expect((await classify(['--no-standard-strings', sql])).out).toContain('READS_ONLY')
  })

  it('says what is wrong with SQL that is none', async () => {
    const { code, out: stdout } = await classify(['--format', 'json', 'selec 1'])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ reason: 'SYNTAX', about: 'syntax error at or near "selec"' })
    expect(await classify(['a\0b'])).toMatchObject({ code: 2 })
    expect(await classify([], { input: ' '.repeat(17 * 1024 * 1024) })).toMatchObject({ code: 2 })
  })
})
