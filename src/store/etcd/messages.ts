import type { KeyValue, Transaction, WatchEvent } from '../../model/key-value.ts'

/**
 * Bodies of etcd's HTTP/JSON gateway (etcd 3.4 and later, path `/v3`): keys and values are base64, 64-bit numbers are
 * strings, and what is zero, false or empty is left out. What an answer must have and has not throws: it is no etcd.
 */
export type Header = {
  /** Of the cluster that answered, as text: it has 64 bits. */
  readonly clusterId: string
  readonly revision: number
  readonly term: number
}

export type RangeAnswer = { readonly header: Header; readonly entries: readonly KeyValue[] }

export type TxnAnswer = {
  readonly header: Header
  readonly succeeded: boolean
  /** An operation changed something, so that the revision of the header is its own. */
  readonly isChange: boolean
  /** What the keys that a change or a failed comparison is about hold now; 0 for an absent one. */
  readonly held: readonly { readonly key: string; readonly modRevision: number }[]
}

export type WatchMessage =
  | { readonly kind: 'created'; readonly header: Header }
  /** Whole revisions in order. Without events it only says how far the watch has come. */
  | { readonly kind: 'events'; readonly events: readonly WatchEvent[]; readonly revision: number }
  | { readonly kind: 'compacted' }
  | { readonly kind: 'ended'; readonly reason: string }

type Json = Readonly<Record<string, unknown>>

/** All keys with `prefix`, by a quorum's word. */
export function rangeBody(prefix: string): string {
  return JSON.stringify(rangeOf(prefix))
}

/** The newest change below `prefix`, without its value: enough to prove that a quorum answers. */
export function probeBody(prefix: string): string {
  const newest = { limit: '1', sort_target: 'MOD', sort_order: 'DESCEND', keys_only: true }
  return JSON.stringify({ ...rangeOf(prefix), ...newest })
}

export function watchBody(prefix: string, startRevision: number): string {
  const request = { ...rangeOf(prefix), start_revision: String(startRevision), progress_notify: true }
  return JSON.stringify({ create_request: request })
}

/** One Txn. A failed one also tells what the compared keys hold, so that the caller knows when it has seen the reason. */
export function txnBody({ compares, operations }: Transaction): string {
  const looks = [...new Set(compares.map(({ key }) => key))].map((key) => ({
    request_range: { key: encoded(key), keys_only: true },
  }))
  return JSON.stringify({
    compare: compares.map((compare) => {
      const key = encoded(compare.key)
      switch (compare.kind) {
        case 'mod':
          return { key, target: 'MOD', result: 'EQUAL', mod_revision: String(compare.revision) }
        case 'create':
          return { key, target: 'CREATE', result: 'EQUAL', create_revision: String(compare.revision) }
        case 'value':
          return { key, target: 'VALUE', result: 'EQUAL', value: encoded(compare.value) }
      }
    }),
    success:
      operations.length === 0
        ? looks
        : operations.map((operation) =>
            operation.kind === 'put'
              ? { request_put: { key: encoded(operation.key), value: encoded(operation.value) } }
              : { request_delete_range: { key: encoded(operation.key) } },
          ),
    failure: looks,
  })
}

export function readRange(body: string): RangeAnswer {
  const answer = parsed(body)
  return { header: readHeader(answer['header']), entries: list(answer['kvs']).map(readEntry) }
}

export function readTxn(body: string, { compares, operations }: Transaction): TxnAnswer {
  const answer = parsed(body)
  const succeeded = answer['succeeded'] === true
  const responses = list(answer['responses']).map(record)
  const header = readHeader(answer['header'])
  if (succeeded && operations.length > 0) {
    const isChange = operations.some(
      ({ kind }, index) =>
        kind === 'put' || count(record(responses[index]?.['response_delete_range'])['deleted']) > 0,
    )
    return { header, succeeded, isChange, held: operations.map(({ key }) => ({ key, modRevision: 0 })) }
  }
  const keys = [...new Set(compares.map(({ key }) => key))]
  const held = keys.map((key, index) => {
    const [entry] = list(record(responses[index]?.['response_range'])['kvs'])
    return { key, modRevision: entry === undefined ? 0 : readEntry(entry).modRevision }
  })
  return { header, succeeded, isChange: false, held }
}

export function readWatchLine(line: string): WatchMessage {
  const message = parsed(line)
  if (message['error'] !== undefined) {
    return { kind: 'ended', reason: textIn(record(message['error'])['message']) }
  }
  const result = record(message['result'])
  if (count(result['compact_revision']) > 0) return { kind: 'compacted' }
  if (result['canceled'] === true) {
    return { kind: 'ended', reason: textIn(result['cancel_reason']) }
  }
  const header = readHeader(result['header'])
  if (result['created'] === true) return { kind: 'created', header }
  const events = list(result['events']).map(readEvent)
  const last = events.at(-1)
  // Of a watcher that catches up the header's revision may be ahead of its events: only theirs is safe to count on.
  const revision = last === undefined ? header.revision : revisionOf(last)
  return { kind: 'events', events, revision }
}

export function readToken(body: string): string {
  const { token } = parsed(body)
  if (typeof token !== 'string' || token === '') throw new Error('the answer has no token')
  return token
}

export function readStatus(body: string): { readonly leader: string; readonly term: number } {
  const answer = parsed(body)
  return { leader: textIn(answer['leader']), term: count(answer['raftTerm']) }
}

/** Names of the voting members by their ids. */
export function readMembers(body: string): ReadonlyMap<string, string> {
  const members = list(parsed(body)['members']).map(record)
  const voters = members.filter((member) => member['isLearner'] !== true)
  // A member that has not yet joined has no name.
  return new Map(voters.map(({ ID: id, name }) => [textIn(id), textIn(name) || textIn(id)]))
}

/** Whether both ways lead to the same text: half a surrogate pair would come back as another one. */
export function isEncodable(text: string): boolean {
  return Buffer.from(text, 'utf8').toString('utf8') === text
}

/** etcd's form of "all keys that begin with": up to the next one that does not. */
function rangeOf(prefix: string): { readonly key: string; readonly range_end: string } {
  // A zero byte stands for the lowest key as well as for "no end".
  if (prefix === '') return { key: 'AA==', range_end: 'AA==' }
  const end = Buffer.from(prefix, 'utf8')
  // No byte of UTF-8 is 0xff, so that the last one can be raised.
  end[end.length - 1] = (end.at(-1) ?? 0) + 1
  return { key: encoded(prefix), range_end: end.toString('base64') }
}

function readHeader(value: unknown): Header {
  const header = record(value)
  if (typeof header['cluster_id'] !== 'string') throw new Error('the answer has no header of etcd')
  return {
    clusterId: header['cluster_id'],
    revision: count(header['revision']),
    term: count(header['raft_term']),
  }
}

function readEvent(value: unknown): WatchEvent {
  const event = record(value)
  const entry = readEntry(event['kv'])
  return event['type'] === 'DELETE'
    ? { kind: 'delete', key: entry.key, modRevision: entry.modRevision }
    : { kind: 'put', entry }
}

function readEntry(value: unknown): KeyValue {
  const kv = record(value)
  return {
    key: decoded(kv['key']),
    value: decoded(kv['value']),
    createRevision: count(kv['create_revision']),
    modRevision: count(kv['mod_revision']),
  }
}

function revisionOf(event: WatchEvent): number {
  return event.kind === 'put' ? event.entry.modRevision : event.modRevision
}

function parsed(body: string): Json {
  return record(JSON.parse(body))
}

function record(value: unknown): Json {
  return value !== null && typeof value === 'object' ? (value as Json) : {}
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function count(value: unknown): number {
  return typeof value === 'string' || typeof value === 'number' ? Number(value) : 0
}

function textIn(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function encoded(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64')
}

function decoded(value: unknown): string {
  return typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8') : ''
}
