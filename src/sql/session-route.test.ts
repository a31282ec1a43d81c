import { describe, expect, it } from 'vitest'
import { corpusRows } from '../../test/support/statement-corpus.ts'
import { catalogFrom } from './catalog.ts'
import { Classifier } from './classifier.ts'
import { loadGrammar } from './grammar.ts'
import { SessionRoute, type Decision, type TransactionStatus } from './session-route.ts'

const classifier = new Classifier(await loadGrammar(), { read: new Set(), write: new Set() })
const catalog = catalogFrom(corpusRows)
const FACTS = {
  isCarried: (setting: string) => ['timezone', 'default_transaction_read_only'].includes(setting),
  isReadOnly: () => false,
}

function shown(decision: Decision): string {
  if (decision.kind === 'answer') return `answers ${decision.tag}`
  if (decision.kind === 'refuse') return 'refuses'
  return decision.begins ? `${decision.to} after BEGIN` : decision.to
}

/** A line a message: `sql -> where`, and what ReadyForQuery says then: I unless `T:` or `E:` stands before it, `!` for an error. */
function expectStory(story: string, session = new SessionRoute(FACTS)): SessionRoute {
  for (const line of story.trim().split('\n')) {
    const [, status = 'I', failed, sql = '', where = ''] =
      /^\s*(?:([ITE])(!?): )?(.*?) -> (.*)$/.exec(line) ?? []
    // Statements of one batch stand beside each other.
    const judged = sql
      .split(' | ')
      .map((text) => classifier.classify({ text, standardStrings: true, catalog, nowMs: 0 }))
    const decision = session.route(
      judged.map(({ verdict }) => verdict),
      { wantsPrimary: judged.some(({ hint }) => hint === 'primary') },
    )
    expect(`${sql} -> ${shown(decision)}`).toBe(`${sql} -> ${where}`)
    if (decision.kind === 'send') session.ended(status as TransactionStatus, failed === '!')
  }
  return session
}

describe('outside a transaction', () => {
  it('proven reads go to a replica and everything else to the primary', () => {
    expectStory(`
      select * from t -> replica
      update t set n = 1 -> primary
      select undeclared_fn(1) -> primary
      select 1; select 2 -> replica
      select 1; begin; select 2; commit -> primary
      T: begin; select 1 -> primary
      T: select 1 -> primary
      commit -> primary
      select 1 -> replica
    `)
  })

  it('an error changes nothing', () => {
    expectStory(`
      I!: select * from t -> replica
      I!: set default_transaction_read_only = on -> primary
      begin -> answers BEGIN
      T: select 1 -> primary after BEGIN
      rollback -> primary
      select 1 -> replica
    `)
  })
})

describe('a transaction', () => {
  it('that may write runs on the primary, reads too', () => {
    expectStory(`
      begin -> answers BEGIN
      T: select * from t -> primary after BEGIN
      T: select * from t -> primary
      commit -> primary
    `)
  })

  it('that was declared READ ONLY before anything ran goes to a replica, and stays there', () => {
    expectStory(`
      begin read only -> answers BEGIN
      T: set local work_mem = 64 -> replica after BEGIN
      T: select * from t -> replica
      T: select undeclared_fn(1) -> replica
      E: delete from t -> replica
      E: select 1 -> replica
      rollback -> replica
      begin -> answers BEGIN
      set transaction read only -> answers SET
      set transaction isolation level repeatable read, deferrable -> answers SET
      T: select 1 -> replica after BEGIN
      T: commit and chain -> replica
      commit -> replica
    `)
  })

  it('says what it is as often as it likes before the first statement; what PostgreSQL may refuse is asked of it', () => {
    expectStory(`
      begin read only -> answers BEGIN
      set transaction read write -> answers SET
      T: select 1 -> primary after BEGIN
      commit -> primary
      begin read only -> answers BEGIN
      T: set transaction_isolation = 'no such level' -> primary after BEGIN
      rollback -> primary
      begin read only -> answers BEGIN
      ${Array.from({ length: 7 }, () => 'set transaction read only -> answers SET').join('\n')}
      T: set transaction read only -> replica after BEGIN
    `)
  })

  it('that comes with its first statement, as some drivers send it, is the same', () => {
    expectStory(`
      T: begin read only | select 1 -> replica
      T: select 1 -> replica
      commit -> replica
      begin read only | select 1 | commit -> replica
      T: begin read only | delete from t -> primary
      commit -> primary
      T: begin | select 1 -> primary
      commit -> primary
      T: begin isolation level serializable read only | select 1 -> primary
      commit -> primary
      T: begin read only | select 1 | commit and chain -> primary
      commit -> primary
      T: /* pg-metako: primary */ begin read only | select 1 -> primary
      commit -> primary
    `)
  })

  it('goes to the primary where a hint, or its session, asks for it', () => {
    expectStory(`
      T: /* pg-metako: primary */ begin read only -> primary
      commit -> primary
      set pg_metako.route = 'primary' -> answers SET
      T: begin read only -> primary
      commit -> primary
    `)
  })

  it('that goes on behind its end, in the same message, does not stay on the replica', () => {
    expectStory(`
      begin read only -> answers BEGIN
      T: select 1 -> replica after BEGIN
      commit; begin; select 1 -> refuses
      T: begin -> replica
      commit -> replica
      begin read only -> answers BEGIN
      T: select 1 -> replica after BEGIN
      select pg_export_snapshot() -> refuses
    `)
    const session = expectStory(`
      begin read only -> answers BEGIN
      T: select 1 -> replica after BEGIN
    `)
    // Statement by statement, as they come in one batch.
    const verdict = (text: string) =>
      classifier.classify({ text, standardStrings: true, catalog, nowMs: 0 }).verdict
    expect(session.route([verdict('commit')]).kind).toBe('send')
    expect(session.route([verdict('begin')]).kind).toBe('refuse')
  })

  it('does not lock on a replica what nobody else would see locked, nor leave anything there', () => {
    const session = expectStory(`
      begin read only -> answers BEGIN
      T: select 1 -> replica after BEGIN
      T: select pg_advisory_xact_lock(1) -> refuses
      T: select pg_advisory_lock(1) -> refuses
      T: create temp table x (a int) -> refuses
      T: listen x -> refuses
      commit -> replica
      select 1 -> replica
    `)
    expect([...session.pins]).toEqual([])
  })

  it.each([
    ['begin read only', 'select pg_advisory_xact_lock(1)'],
    ['begin read only', 'select undeclared_fn(1)'],
    ['begin read only', 'savepoint a'],
    ['begin read only', 'begin'],
    ['begin isolation level serializable read only', 'select 1'],
    ['begin read only', 'select 1; set transaction isolation level serializable'],
    ['begin isolation level repeatable read read only', "set transaction snapshot 'x'"],
    ['begin read only', "set pg_metako.route = 'replica'"],
  ])('%s; %s runs on the primary', (begin, first) => {
    expectStory(`
      ${begin} -> answers BEGIN
      T: ${first} -> primary after BEGIN
      T: select 1 -> primary
    `)
  })

  it('in which nothing happened was never begun', () => {
    expectStory(`
      begin -> answers BEGIN
      commit -> answers COMMIT
      begin read only -> answers BEGIN
      abort -> answers ROLLBACK
      begin -> answers BEGIN
      T: commit and chain -> primary after BEGIN
      commit -> primary
      select 1 -> replica
    `)
  })
})

describe('a session', () => {
  it('that left something in a backend stays on the primary until it is gone', () => {
    const session = expectStory(`
      create temp table x (a int) -> primary
      select * from t -> primary
      begin read only -> primary
      select pg_advisory_lock(1) -> primary
      select pg_advisory_unlock_all() -> primary
      select 1 -> primary
      discard temp -> primary
      select 1 -> replica
    `)
    expect([...session.pins]).toEqual([])
  })

  it('keeps its pin where what would end it failed, or may be rolled back', () => {
    const session = expectStory(`
      listen x -> primary
      I!: unlisten * -> primary
      T: begin -> primary
      T: unlisten * -> primary
      rollback -> primary
      select 1 -> primary
    `)
    expect([...session.pins]).toEqual(['listen'])
    expectStory(`
      listen x -> primary
      discard all -> primary
      select 1 -> replica
    `)
  })

  it('whose transactions are read only by default uses replicas for them', () => {
    expectStory(
      `
      begin -> answers BEGIN
      T: select 1 -> replica after BEGIN
      commit -> replica
      begin read write -> answers BEGIN
      T: select 1 -> primary after BEGIN
      commit -> primary
      T: begin | select 1 -> replica
      commit -> replica
      `,
      new SessionRoute({ ...FACTS, isReadOnly: () => true }),
    )
  })

  it.each([
    "set work_mem = '1MB'",
    "set default_transaction_isolation = 'serializable'",
    'set session characteristics as transaction isolation level serializable',
    "select set_config('work_mem', '1MB', false)",
  ])('that made a setting which no other backend has stays on the primary: %s', (sql) => {
    expectStory(`
      ${sql} -> primary
      select 1 -> primary
      T: begin read only -> primary
      commit -> primary
      discard all -> primary
      select 1 -> replica
    `)
  })

  it('is free where its setting is carried, or ends with the transaction', () => {
    expectStory(`
      set timezone = 'UTC' -> primary
      set session characteristics as transaction read only -> primary
      set local work_mem = 64 -> primary
      select 1 -> replica
    `)
  })

  it('may say what its reads have to find; who asks for what is not known here gets the primary', () => {
    const session = expectStory(`
      set pg_metako.consistency = 'eventual' -> answers SET
      select 1 -> replica
    `)
    expect(session.consistency).toBe('eventual')
    expectStory(
      `
      reset pg_metako.consistency -> answers SET
      set pg_metako.consistency = 'strong' -> primary
      select 1 -> primary
      T: begin read only -> primary
      commit -> primary
      set pg_metako.consistency = 'session' -> answers SET
      select 1 -> replica
      `,
      session,
    )
    expect(session.consistency).toBe('session')
    expectStory('discard all -> primary', session)
    expect(session.consistency).toBe('default')
  })

  it('may say where it wants to go, and the router alone hears it', () => {
    expectStory(`
      set pg_metako.route = 'primary' -> answers SET
      select 1 -> primary
      set pg_metako.route = 'replica' -> answers SET
      select undeclared_fn(1) -> replica
      delete from t -> primary
      reset pg_metako.route -> answers SET
      select undeclared_fn(1) -> primary
      select 1 -> replica
    `)
  })
})
