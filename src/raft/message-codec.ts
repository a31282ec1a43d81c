import {
  APPEND_ENTRIES_MAX,
  ENTRY_LENGTH_MAX,
  MEMBERS_MAX,
  MESSAGE_BYTES_MAX,
  NAME_LENGTH_MAX,
  SNAPSHOT_LENGTH_MAX,
} from './limits.ts'
import type { Configuration, Entry, Message } from './message.ts'

/** Raised when an older program could not understand a message any more. */
export const PROTOCOL_VERSION = 1

/** A message with its address. `group` keeps two clusters apart that were given the same address by mistake. */
export type Envelope = {
  readonly group: string
  readonly from: string
  readonly to: string
  readonly message: Message
}

export type Decoded =
  | { readonly kind: 'message'; readonly envelope: Envelope }
  | { readonly kind: 'refused'; readonly reason: 'TOO_LONG' | 'OTHER_VERSION' | 'MALFORMED' }

/** Layout: version (1 byte), header length (4, big endian), header as JSON, then the bodies that it announces, one after the other. */
const PREFIX_BYTES = 5

/** Bodies stand outside of the header, so that text which is JSON itself is not escaped once more. */
export function encodeMessage(envelope: Envelope): Uint8Array<ArrayBuffer> {
  const bodies: Uint8Array[] = []
  const header = new TextEncoder().encode(JSON.stringify(headerOf(envelope, bodies)))
  const length = bodies.reduce((sum, body) => sum + body.length, PREFIX_BYTES + header.length)
  const bytes = new Uint8Array(length)
  bytes[0] = PROTOCOL_VERSION
  new DataView(bytes.buffer).setUint32(1, header.length)
  bytes.set(header, PREFIX_BYTES)
  let offset = PREFIX_BYTES + header.length
  for (const body of bodies) {
    bytes.set(body, offset)
    offset += body.length
  }
  return bytes
}

/** Reads bytes from anybody: every doubt is a refusal, nothing throws. */
export function decodeMessage(bytes: Uint8Array): Decoded {
  if (bytes.length > MESSAGE_BYTES_MAX) return { kind: 'refused', reason: 'TOO_LONG' }
  if (bytes.length < PREFIX_BYTES) return { kind: 'refused', reason: 'MALFORMED' }
  if (bytes[0] !== PROTOCOL_VERSION) return { kind: 'refused', reason: 'OTHER_VERSION' }
  const headerLength = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1)
  const bodiesAt = PREFIX_BYTES + headerLength
  if (bodiesAt > bytes.length) return { kind: 'refused', reason: 'MALFORMED' }
  try {
    const header: unknown = JSON.parse(textOf(bytes.subarray(PREFIX_BYTES, bodiesAt)))
    return { kind: 'message', envelope: envelopeFrom(header, new BodyReader(bytes.subarray(bodiesAt))) }
  } catch {
    return { kind: 'refused', reason: 'MALFORMED' }
  }
}

function headerOf({ group, from, to, message }: Envelope, bodies: Uint8Array[]): unknown {
  const addBody = (text: string): number => {
    const body = new TextEncoder().encode(text)
    bodies.push(body)
    return body.length
  }
  const address = { g: group, f: from, t: to, k: message.kind }
  switch (message.kind) {
    case 'append': {
      const entries = message.entries.map((entry) => [
        entry.index,
        entry.term,
        entry.kind,
        addBody(entry.body),
      ])
      return { ...address, m: { ...message, kind: undefined, entries } }
    }
    case 'install-snapshot': {
      const snapshot = { ...message.snapshot, body: addBody(message.snapshot.body) }
      return { ...address, m: { term: message.term, snapshot } }
    }
    case 'propose':
      return { ...address, m: { body: addBody(message.body) } }
    case 'vote-request':
    case 'vote-response':
    case 'append-response':
    case 'heartbeat':
    case 'heartbeat-response':
    case 'timeout-now':
    case 'read':
    case 'read-confirmed':
      return { ...address, m: { ...message, kind: undefined } }
  }
}

/** Reasons are not told: a sender that speaks this protocol never gets here. */
class Malformed extends Error {}

type Fields = Readonly<Record<string, unknown>>

function envelopeFrom(header: unknown, bodies: BodyReader): Envelope {
  const fields = asFields(header)
  const message = messageFrom(fields['k'], asFields(fields['m']), bodies)
  bodies.assertEnd()
  return { group: asName(fields['g']), from: asName(fields['f']), to: asName(fields['t']), message }
}

function messageFrom(kind: unknown, fields: Fields, bodies: BodyReader): Message {
  switch (kind) {
    case 'vote-request':
      return {
        kind,
        term: asCount(fields['term']),
        pre: asBoolean(fields['pre']),
        transfer: asBoolean(fields['transfer']),
        lastIndex: asCount(fields['lastIndex']),
        lastTerm: asCount(fields['lastTerm']),
      }
    case 'vote-response':
      return {
        kind,
        term: asCount(fields['term']),
        pre: asBoolean(fields['pre']),
        granted: asBoolean(fields['granted']),
      }
    case 'append':
      return appendFrom(fields, bodies)
    case 'append-response': {
      const response = { kind, term: asCount(fields['term']), index: asCount(fields['index']) } as const
      if (fields['rejected'] === undefined) return response
      const rejected = asFields(fields['rejected'])
      return {
        ...response,
        rejected: {
          index: asCount(rejected['index']),
          hintIndex: asCount(rejected['hintIndex']),
          hintTerm: asCount(rejected['hintTerm']),
        },
      }
    }
    case 'heartbeat':
      return {
        kind,
        term: asCount(fields['term']),
        commit: asCount(fields['commit']),
        round: asCount(fields['round']),
      }
    case 'heartbeat-response':
      return { kind, term: asCount(fields['term']), round: asCount(fields['round']) }
    case 'install-snapshot':
      return snapshotFrom(fields, bodies)
    case 'timeout-now':
      return { kind, term: asCount(fields['term']) }
    case 'propose':
      return { kind, body: bodies.take(asCount(fields['body']), ENTRY_LENGTH_MAX) }
    case 'read':
      return { kind, id: asName(fields['id']) }
    case 'read-confirmed':
      return { kind, id: asName(fields['id']), index: asCount(fields['index']) }
    default:
      throw new Malformed()
  }
}

function appendFrom(fields: Fields, bodies: BodyReader): Message {
  const term = asCount(fields['term'])
  const prevIndex = asCount(fields['prevIndex'])
  const prevTerm = asCount(fields['prevTerm'])
  let last = { index: prevIndex, term: prevTerm }
  const entries = asList(fields['entries'], APPEND_ENTRIES_MAX).map((item): Entry => {
    const [index, entryTerm, kind, length] = asList(item, 4)
    const entry = {
      index: asCount(index),
      term: asCount(entryTerm),
      kind: asEntryKind(kind),
      body: bodies.take(asCount(length), ENTRY_LENGTH_MAX),
    }
    // The core asserts these; a packet must not be able to trip an assertion.
    if (entry.index !== last.index + 1 || entry.term < last.term || entry.term > term) throw new Malformed()
    last = entry
    return entry
  })
  if (prevTerm > term) throw new Malformed()
  return { kind: 'append', term, prevIndex, prevTerm, commit: asCount(fields['commit']), entries }
}

function snapshotFrom(fields: Fields, bodies: BodyReader): Message {
  const snapshot = asFields(fields['snapshot'])
  return {
    kind: 'install-snapshot',
    term: asCount(fields['term']),
    snapshot: {
      index: asCount(snapshot['index']),
      term: asCount(snapshot['term']),
      configuration: configurationFrom(snapshot['configuration']),
      body: bodies.take(asCount(snapshot['body']), SNAPSHOT_LENGTH_MAX),
    },
  }
}

/** Reads a configuration from parsed JSON; throws on anything else. */
export function configurationFrom(value: unknown): Configuration {
  const fields = asFields(value)
  const names = (list: unknown): string[] => {
    const found = asList(list, MEMBERS_MAX).map(asName)
    if (new Set(found).size !== found.length) throw new Malformed()
    return found
  }
  const voters = names(fields['voters'])
  if (voters.length === 0) throw new Malformed()
  return { voters, outgoing: names(fields['outgoing']), learners: names(fields['learners']) }
}

class BodyReader {
  readonly #bytes: Uint8Array
  #offset = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  take(byteLength: number, lengthMax: number): string {
    const end = this.#offset + byteLength
    if (end > this.#bytes.length) throw new Malformed()
    const text = textOf(this.#bytes.subarray(this.#offset, end))
    if (text.length > lengthMax) throw new Malformed()
    this.#offset = end
    return text
  }

  assertEnd(): void {
    if (this.#offset !== this.#bytes.length) throw new Malformed()
  }
}

/** A byte order mark is a character like any other here: leaving it out would make two members' logs differ. */
function textOf(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
}

function asFields(value: unknown): Fields {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new Malformed()
  return value as Fields
}

function asList(value: unknown, max: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length > max) throw new Malformed()
  return value
}

function asCount(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw new Malformed()
  return value
}

function asBoolean(value: unknown): boolean {
  if (typeof value !== 'boolean') throw new Malformed()
  return value
}

function asName(value: unknown): string {
  if (typeof value !== 'string' || value === '' || value.length > NAME_LENGTH_MAX) throw new Malformed()
  return value
}

function asEntryKind(value: unknown): Entry['kind'] {
  if (value !== 'noop' && value !== 'command') throw new Malformed()
  return value
}
