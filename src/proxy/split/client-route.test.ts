import { describe, expect, it } from 'vitest'
import { buildErrorResponse } from '../../wire/error-response.ts'
import { message } from '../../wire/frame.ts'
import { MessageCursor } from '../pool/message-cursor.ts'
import type { Pool } from '../pool/pool.ts'
import { ClientStatements, StatementRegistry } from '../pool/prepared-statements.ts'
import { ClientRoute } from './client-route.ts'
import type { Answer } from '../../sql/classifier.ts'
import type { ReadSplit } from './read-split.ts'

const query = (sql: string): Buffer => message('Q', Buffer.from(`${sql}\0`))
const error = (code: string): Buffer => buildErrorResponse({ S: 'ERROR', V: 'ERROR', C: code, M: 'no' })
const DESCRIPTION = message('T', Buffer.alloc(2))
const ROW = message('D', Buffer.alloc(2))
const READY = message('Z', Buffer.from('I'))

const READS: Answer = { verdict: { kind: 'read', reason: 'READS_ONLY', statementCount: 1, effects: [] } }
const WRITES: Answer = { verdict: { ...READS.verdict, kind: 'write', reason: 'CHANGES_DATA' } }
const BEGINS: Answer = {
  fingerprint: 'begin read only',
  verdict: {
    kind: 'unknown',
    reason: 'CONTROLS_TRANSACTION',
    statementCount: 1,
    effects: [{ kind: 'begin', modes: { readOnly: true } }],
  },
}

/** A route of a client that sent this, whose reads go to a replica. */
function routed(sent: Buffer, { isRead = true } = {}) {
  const primary = {
    mode: 'transaction',
    name: 'primary',
    stats: {},
    limits: { consistency: 'session' },
  } as unknown as Pool
  const replica = { mode: 'transaction', name: 'replica' } as unknown as Pool
  const refused: (readonly string[])[] = []
  const split = {
    judge: (_client: unknown, texts: readonly string[]) =>
      texts.map((text) => (text.startsWith('begin') ? BEGINS : isRead ? READS : WRITES)),
    poolFor: () => replica,
    isNear: () => false,
    epoch: () => 1,
    isSerializable: () => {},
    refused: (_client: unknown, texts: readonly string[]) => void refused.push(texts),
  } as unknown as ReadSplit
  let now = 0
  const cursor = new MessageCursor()
  const registry = new StatementRegistry()
  const place = { now: () => (now += 1), split, registry }
  const route = new ClientRoute({ pool: primary, settings: new Map() }, { place, cursor })
  const statements = new ClientStatements(registry)
  const send = (bytes: Buffer) => {
    cursor.add(bytes)
    cursor.open()
    const chosen = route.choose(statements)
    expect(chosen).not.toBe('WAIT')
    const answer = chosen === 'WAIT' ? undefined : chosen
    if (answer) cursor.consume(answer.end)
    else cursor.passOn(cursor.end ?? 0)
    cursor.takeUnsent()
    cursor.close()
    if (!answer) route.sent()
    return answer?.bytes.toString('latin1').replaceAll(/[^A-Z ]/g, '')
  }
  if (sent.length > 0) send(sent)
  return { route, cursor, primary, replica, refused, send, again: () => send(Buffer.alloc(0)) }
}

describe('what a replica answers', () => {
  it.each([
    ['a refusal', [error('25006'), READY], true],
    ['a refusal behind a description', [DESCRIPTION, error('40001'), READY], true],
    ['a row', [DESCRIPTION, ROW], false],
    ['an error behind a row', [DESCRIPTION, ROW, error('25006'), READY], false],
    ['an error of the statement itself', [error('22012'), READY], false],
    ['a part of a message', [error('25006').subarray(0, 9)], false],
  ])('%s: the client does not see it: %s', (_, answer, isTakenBack) => {
    const { route } = routed(query('select 1'))
    expect(route.takesBack(Buffer.concat(answer))).toBe(isTakenBack)
    // From then on it is all the same.
    expect(route.takesBack(error('25006'))).toBe(isTakenBack)
  })

  it('if it is a refusal, is asked of the primary, before what the client sent behind it', () => {
    const { route, cursor, primary, replica, refused, again } = routed(
      Buffer.concat([query('select 1'), query('delete from t')]),
    )
    expect(route.from).toBe(replica)
    expect(route.isClosed).toBe(true)
    route.takesBack(error('25006'))
    route.ended()
    expect(refused).toEqual([['select 1']])
    expect(route.isClosed).toBe(false)
    again()
    expect(route.from).toBe(primary)
    expect(cursor.firstKept).toBe(0x51)
    // The primary's refusal is the statement's own, and nothing is asked a third time.
    expect(route.takesBack(error('25006'))).toBe(false)
    route.ended()
    expect(refused).toHaveLength(1)
  })

  it('is asked of nobody else when the replica is lost meanwhile', () => {
    const { route, cursor, refused } = routed(query('select 1'))
    route.takesBack(error('25006'))
    route.lost()
    route.ended()
    expect(refused).toEqual([])
    expect(cursor.firstKept).toBeUndefined()
  })
})

describe('a session has committed', () => {
  it('when anything but a read has ended, well or not', () => {
    const { route } = routed(query('select 1'))
    route.ended()
    expect(route.committedAt).toBeUndefined()
    const writes = routed(query('delete from t'), { isRead: false }).route
    expect(writes.isClosed).toBe(false)
    writes.lost()
    expect(writes.committedAt).toBe(1)
  })
})

describe('a BEGIN that was put off', () => {
  const begun = () => {
    const client = routed(Buffer.alloc(0))
    expect(client.send(query('begin read only'))).toBe('CBEGINZT')
    return client
  }

  it('runs before the first statement, wherever that goes', () => {
    const { route, send, replica } = begun()
    expect(route.isPutOff).toBe(true)
    expect(route.begin).toBe('begin read only')
    expect(send(query('select 1'))).toBeUndefined()
    expect(route.from).toBe(replica)
    route.begun()
    expect([route.isPutOff, route.begin]).toEqual([false, undefined])
  })

  it('runs again on the primary where the replica refuses that statement, and what follows is not looked at', () => {
    const { route, send, again, primary } = begun()
    send(query('select 1'))
    route.begun()
    route.answered('E')
    expect(route.takesBack(error('40001'))).toBe(true)
    route.ended()
    expect([route.isPutOff, route.begin]).toEqual([true, 'begin read only'])
    again()
    expect(route.from).toBe(primary)
    route.begun()
    route.answered('T')
    expect([route.isClosed, route.isWatching]).toEqual([false, false])
  })

  it('is forgotten with the wait for a server connection', () => {
    const { route, send } = begun()
    send(query('select 1'))
    route.lost()
    expect(route.isPutOff).toBe(false)
    expect(send(query('begin read only'))).toBe('CBEGINZT')
  })

  it('keeps what it reads on the replica to itself: nothing was committed, and one statement runs at a time', () => {
    const { route, send } = begun()
    send(query('select 1'))
    route.begun()
    route.answered('T')
    expect([route.isClosed, route.isWatching]).toEqual([true, false])
    route.goesOn()
    expect([route.isClosed, route.isWatching]).toEqual([false, true])
    route.answered('I')
    route.ended()
    expect(route.committedAt).toBeUndefined()
  })
})
