import { expect, it } from 'vitest'
import {
  isEncodable,
  probeBody,
  rangeBody,
  readRange,
  readTxn,
  readWatchLine,
  txnBody,
  watchBody,
} from './messages.ts'

const base64 = (text: string) => Buffer.from(text).toString('base64')
const header = { cluster_id: '14841639068965178418', member_id: '1', revision: '7', raft_term: '2' }
const kv = (key: string, value: string, revision: number) => ({
  key: base64(key),
  create_revision: '2',
  mod_revision: String(revision),
  version: '1',
  ...(value === '' ? {} : { value: base64(value) }),
})

it('asks for everything that begins with a prefix, also with none at all', () => {
  expect(JSON.parse(rangeBody('/a/'))).toEqual({ key: base64('/a/'), range_end: base64('/a0') })
  // The last byte of é is raised, not its code point.
  expect(Buffer.from(JSON.parse(rangeBody('é')).range_end, 'base64')).toEqual(Buffer.from([0xc3, 0xaa]))
  expect(JSON.parse(rangeBody(''))).toEqual({ key: 'AA==', range_end: 'AA==' })
  expect(JSON.parse(probeBody('/a/'))).toMatchObject({ limit: '1', keys_only: true })
  expect(JSON.parse(watchBody('/a/', 8)).create_request.start_revision).toBe('8')
})

it('writes a transaction that also tells why it failed', () => {
  const body = JSON.parse(
    txnBody({
      compares: [
        { kind: 'mod', key: 'a', revision: 3 },
        { kind: 'value', key: 'a', value: 'x' },
        { kind: 'create', key: 'b', revision: 0 },
      ],
      operations: [
        { kind: 'put', key: 'a', value: 'y' },
        { kind: 'delete', key: 'b' },
      ],
    }),
  )
  expect(body.compare).toEqual([
    { key: base64('a'), target: 'MOD', result: 'EQUAL', mod_revision: '3' },
    { key: base64('a'), target: 'VALUE', result: 'EQUAL', value: base64('x') },
    { key: base64('b'), target: 'CREATE', result: 'EQUAL', create_revision: '0' },
  ])
  expect(body.success).toEqual([
    { request_put: { key: base64('a'), value: base64('y') } },
    { request_delete_range: { key: base64('b') } },
  ])
  expect(body.failure.map((one: { request_range: { key: string } }) => one.request_range.key)).toEqual([
    base64('a'),
    base64('b'),
  ])
})

it('reads entries, and takes for empty what was left out', () => {
  const answer = readRange(JSON.stringify({ header, kvs: [kv('a', '', 5)], count: '1' }))
  expect(answer).toEqual({
    header: { clusterId: '14841639068965178418', revision: 7, term: 2 },
    entries: [{ key: 'a', value: '', createRevision: 2, modRevision: 5 }],
  })
  expect(readRange(JSON.stringify({ header })).entries).toEqual([])
})

it('tells a change from a deletion of nothing, and a failure with what was held', () => {
  const transaction = {
    compares: [
      { kind: 'mod', key: 'a', revision: 3 },
      { kind: 'mod', key: 'none', revision: 3 },
    ],
    operations: [{ kind: 'delete', key: 'a' }],
  } as const
  const read = (answer: unknown) => readTxn(JSON.stringify(answer), transaction)
  expect(
    read({ header, succeeded: true, responses: [{ response_delete_range: { deleted: '1' } }] }),
  ).toMatchObject({ succeeded: true, isChange: true })
  expect(read({ header, succeeded: true, responses: [{ response_delete_range: { header } }] })).toMatchObject(
    {
      isChange: false,
      held: [{ key: 'a', modRevision: 0 }],
    },
  )
  const responses = [{ response_range: { kvs: [kv('a', 'x', 6)], count: '1' } }, { response_range: {} }]
  expect(read({ header, responses })).toMatchObject({
    succeeded: false,
    isChange: false,
    held: [
      { key: 'a', modRevision: 6 },
      { key: 'none', modRevision: 0 },
    ],
  })
})

it('counts on the revision of events, not on that of the header, which may be ahead of them', () => {
  const line = (result: unknown) => readWatchLine(JSON.stringify({ result }))
  expect(line({ header, events: [{ kv: kv('a', 'x', 5) }, { type: 'DELETE', kv: kv('b', '', 6) }] })).toEqual(
    {
      kind: 'events',
      revision: 6,
      events: [
        { kind: 'put', entry: { key: 'a', value: 'x', createRevision: 2, modRevision: 5 } },
        { kind: 'delete', key: 'b', modRevision: 6 },
      ],
    },
  )
  expect(line({ header })).toEqual({ kind: 'events', events: [], revision: 7 })
  expect(line({ header, created: true })).toMatchObject({ kind: 'created' })
  expect(line({ header, canceled: true, compact_revision: '9' })).toEqual({ kind: 'compacted' })
  expect(line({ header, canceled: true, cancel_reason: 'why' })).toEqual({ kind: 'ended', reason: 'why' })
  const error = { grpc_code: 14, message: 'etcdserver: no leader' }
  expect(readWatchLine(JSON.stringify({ error }))).toEqual({ kind: 'ended', reason: 'etcdserver: no leader' })
})

it('does not take anything for an answer of etcd that has no header of it', () => {
  for (const body of ['{}', 'null', '[]', '{"header":{}}', '{"kvs":[]}']) {
    expect(() => readRange(body)).toThrow('no header of etcd')
  }
  expect(() => readRange('<html>')).toThrow('JSON')
})

it('knows texts that would come back as others', () => {
  expect(isEncodable('ключ 🔑')).toBe(true)
  expect(isEncodable('half \ud83d')).toBe(false)
})
