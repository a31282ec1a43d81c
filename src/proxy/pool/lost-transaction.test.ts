import { describe, expect, it } from 'vitest'
import { parseErrorResponse } from '../../wire/error-response.ts'
import { MessageReader } from '../../wire/frame.ts'
import { lossAnswer } from './lost-server.ts'
import { LostTransaction, type LostAnswer } from './lost-transaction.ts'

const NEWS = { sqlState: '40000', message: 'Transaction lost' }

/** `E25P02`, `Z:E`, `C:ROLLBACK`, `1` … */
function told({ bytes }: { bytes: Buffer }): string {
  const reader = new MessageReader()
  reader.push(bytes)
  const words: string[] = []
  for (let next = reader.next(); next; next = reader.next()) {
    const type = String.fromCharCode(next.type)
    if (type === 'E') words.push(`E${parseErrorResponse(next.body)['C']}`)
    else if (type === 'Z' || type === 'C') words.push(`${type}:${next.body.toString().replaceAll('\0', '')}`)
    else words.push(type)
  }
  return words.join(' ')
}

describe('a transaction whose server connection is gone', () => {
  it('fails every statement until the client ends it, and says once why', () => {
    const lost = new LostTransaction(NEWS)
    const answers = ['insert into t values (1)', 'rollback to savepoint s', 'select 1', ' COMMIT ; '].map(
      (text) => lost.query(text),
    )
    expect(answers.map(told)).toEqual(['E40000 Z:E', 'E25P02 Z:E', 'E25P02 Z:E', 'C:ROLLBACK Z:I'])
    expect(answers.at(-1)?.isOver).toBe(true)
  })

  it.each(['rollback', 'ABORT WORK', 'end transaction;', 'Commit'])('is ended by %s', (text) => {
    expect(new LostTransaction(undefined).query(text).isOver).toBe(true)
  })

  it.each(['commit; insert into t values (1)', 'rollback and chain', 'commit prepared $$x$$', 'endless()'])(
    'is not ended by %s',
    (text) => expect(new LostTransaction(undefined).query(text).isOver).toBeUndefined(),
  )

  it('is ended by a batch as well, at its Sync', () => {
    const lost = new LostTransaction(undefined)
    expect(lost.parse('select 1')).toMatchObject({ skip: true })
    const batch: LostAnswer[] = [
      lost.parse('rollback'),
      lost.bind(undefined),
      lost.describe(false),
      lost.execute(),
      lost.sync(),
    ]
    expect(batch.map(told)).toEqual(['1', '2', 'n', 'C:ROLLBACK', 'Z:I'])
    expect(batch.map(({ isOver }) => isOver)).toEqual([undefined, undefined, undefined, undefined, true])
  })
})

describe('what a client is told of a lost server connection', () => {
  it('answers everything in flight, and only then the open batch', () => {
    const busy = { owedReady: 2, isBatchOpen: true, isInTransaction: false }
    expect(told(lossAnswer(NEWS, busy))).toBe('E40000 Z:I E40000 Z:I E40000')
    expect(lossAnswer(NEWS, busy)).toMatchObject({ skipsToSync: true, lost: undefined })
  })

  it('says nothing to a client that has asked nothing, before its next statement', () => {
    const idle = lossAnswer(NEWS, { owedReady: 0, isBatchOpen: false, isInTransaction: true })
    expect(idle.bytes).toHaveLength(0)
    expect(idle.lost && told(idle.lost.query('select 1'))).toBe('E40000 Z:E')
  })
})
