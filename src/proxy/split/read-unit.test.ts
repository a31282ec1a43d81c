import { describe, expect, it } from 'vitest'
import { message } from '../../wire/frame.ts'
import { ClientStatements, StatementRegistry } from '../pool/prepared-statements.ts'
import { readUnit, type ReadUnit } from './read-unit.ts'

const text = (value: string): Buffer => Buffer.from(`${value}\0`)
const query = (sql: string): Buffer => message('Q', text(sql))
const parse = (name: string, sql: string): Buffer =>
  message('P', Buffer.concat([text(name), text(sql), Buffer.alloc(2)]))
const bind = (name: string): Buffer =>
  message('B', Buffer.concat([text('portal'), text(name), Buffer.alloc(6)]))
const describeStatement = (name: string): Buffer => message('D', text(`S${name}`))
const EXECUTE = message('E', Buffer.alloc(5))
const SYNC = message('S', Buffer.alloc(0))
const FLUSH = message('H', Buffer.alloc(0))

function whole(...messages: readonly Buffer[]): ReadUnit | undefined {
  const registry = new StatementRegistry()
  const statements = new ClientStatements(registry)
  statements.set('known', registry.take(Buffer.concat([text('select known'), Buffer.alloc(2)])))
  return readUnit(Buffer.concat([Buffer.from('before'), ...messages]), 6, statements)
}

function unit(...messages: readonly Buffer[]): readonly string[] | undefined {
  return whole(...messages)?.texts
}

describe('a unit', () => {
  it('ends with its Query, or with the Sync of its batch', () => {
    expect(whole(query('select 1'), SYNC)).toMatchObject({
      end: 6 + query('select 1').length,
      isRepeatable: true,
    })
    const batch = [parse('', 'select 1'), bind(''), EXECUTE, SYNC]
    expect(whole(...batch, SYNC)).toMatchObject({ end: 6 + Buffer.concat(batch).length, isRepeatable: true })
  })

  it('executes something, or is only prepared: the next batch may bind it', () => {
    expect(whole(query('select 1'))).toMatchObject({ executes: true })
    expect(whole(bind('known'), EXECUTE, SYNC)).toMatchObject({ executes: true })
    expect(whole(parse('', 'select 1'), describeStatement(''), SYNC)).toMatchObject({
      texts: ['select 1'],
      executes: false,
    })
  })

  it('is not repeated where it prepares or closes something by name', () => {
    expect(whole(parse('a', 'select 1'), bind('a'), EXECUTE, SYNC)).toMatchObject({ isRepeatable: false })
    expect(whole(bind('known'), EXECUTE, message('C', text('Sknown')), SYNC)).toMatchObject({
      isRepeatable: false,
    })
    expect(whole(bind('known'), EXECUTE, SYNC)).toMatchObject({ isRepeatable: true })
  })
})

describe('the statements of a unit', () => {
  it('are that of a Query, whatever follows it', () => {
    expect(unit(query('select 1'), query('delete from t'))).toEqual(['select 1'])
  })

  it('are all of a batch up to its Sync', () => {
    expect(
      unit(parse('', 'select 1'), bind(''), EXECUTE, parse('a', 'delete from t'), bind('a'), EXECUTE, SYNC),
    ).toEqual(['select 1', 'delete from t'])
    expect(unit(bind('known'), EXECUTE, FLUSH, SYNC, query('x'))).toEqual(['select known'])
    expect(unit(describeStatement('known'), bind('known'), EXECUTE, SYNC)).toContain('select known')
  })

  it.each([
    ['a Query whose end is not there', [query('select 1').subarray(0, 9)]],
    ['a batch without its Sync', [parse('', 'select 1'), bind(''), EXECUTE]],
    ['a batch that names what nobody prepared', [bind('unknown'), EXECUTE, SYNC]],
    ['an unnamed statement of an earlier batch', [bind(''), EXECUTE, SYNC]],
    [
      'a message that belongs in no batch',
      [parse('', 'select 1'), message('F', Buffer.alloc(4)), EXECUTE, SYNC],
    ],
    ['a Parse without an end of its name', [message('P', Buffer.from('abc')), EXECUTE, SYNC]],
    ['a length that is none', [Buffer.from([0x50, 0, 0, 0, 0]), SYNC]],
    ['too many messages', [...Array.from({ length: 300 }, () => EXECUTE), SYNC]],
    ['nothing', []],
  ])('are not known of %s', (_, messages) => {
    expect(unit(...messages)).toBeUndefined()
  })
})
