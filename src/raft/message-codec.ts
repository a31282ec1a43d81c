import {
  APPEND_ENTRIES_MAX,
  ENTRY_LENGTH_MAX,
  MEMBERS_MAX,
  MESSAGE_BYTES_MAX,
  REFUSAL_LENGTH_MAX,
  SNAPSHOT_CHUNK_LENGTH,
  SNAPSHOT_LENGTH_MAX,
} from './limits.ts'
import { configurationFields, decodeConfiguration, parseConfiguration } from './configuration.ts'
import { isIncarnation } from './member-id.ts'
import {
  asBoolean,
  asCount,
  asEntryKind,
  asFields,
  asList,
  asName,
  BodyReader,
  Malformed,
  textOf,
  type Fields,
} from './message-fields.ts'
import type { ChangeVerdict, MembershipChange, MembershipRefusal } from './membership-change.ts'
import type { Configuration, Entry, Message } from './message.ts'
import { neededVersion, OLDEST_VERSION, PROTOCOL_VERSION } from './protocol.ts'

/** How a message lies in its bytes. Another one could not be read at all; what is said inside has its own version. */
const LAYOUT = 1

/** A message with its address. `group` keeps two clusters apart that were given the same address by mistake. */
export type Envelope = {
  readonly group: string
  readonly from: string
  readonly to: string
  readonly message: Message
}

export type Decoded =
  | { readonly kind: 'message'; readonly envelope: Envelope; readonly version: number }
  | { readonly kind: 'refused'; readonly reason: 'TOO_LONG' | 'OTHER_LAYOUT' | 'MALFORMED' }
  /** The sender's program is newer, and this one lacks what the message needs. */
  | { readonly kind: 'refused'; readonly reason: 'NEEDS_NEWER_PROTOCOL'; readonly needs: number }

/** Layout: its number (1 byte), header length (4, big endian), header as JSON, then the bodies that it announces, one after the other. */
const PREFIX_BYTES = 5
const PREFIX_ROOM = '\0'.repeat(PREFIX_BYTES)

const encoder = new TextEncoder()

/** Bodies stand outside of the header, so that text which is JSON itself is not escaped once more. */
export function encodeMessage(envelope: Envelope, version = PROTOCOL_VERSION): Uint8Array<ArrayBuffer> {
  const { group, from, to, message } = envelope
  const bodies: Uint8Array[] = []
  const content = contentOf(message, bodies)
  const header = { g: group, f: from, t: to, k: message.kind, m: content, ...versions(message, version) }
  const head = encoder.encode(PREFIX_ROOM + JSON.stringify(header))
  head[0] = LAYOUT
  new DataView(head.buffer, head.byteOffset).setUint32(1, head.length - PREFIX_BYTES)
  return bodies.length === 0 ? head : concatenated([head, ...bodies])
}

function concatenated(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let offset = 0
  for (const part of parts) {
    bytes.set(part, offset)
    offset += part.length
  }
  return bytes
}

/** Reads bytes from anybody: every doubt is a refusal, nothing throws. */
export function decodeMessage(bytes: Uint8Array): Decoded {
  if (bytes.length > MESSAGE_BYTES_MAX) return { kind: 'refused', reason: 'TOO_LONG' }
  if (bytes.length < PREFIX_BYTES) return { kind: 'refused', reason: 'MALFORMED' }
  if (bytes[0] !== LAYOUT) return { kind: 'refused', reason: 'OTHER_LAYOUT' }
  const headerLength = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1)
  const bodiesAt = PREFIX_BYTES + headerLength
  if (bodiesAt > bytes.length) return { kind: 'refused', reason: 'MALFORMED' }
  try {
    const header = asFields(JSON.parse(textOf(bytes.subarray(PREFIX_BYTES, bodiesAt))))
    const needs = header['n'] === undefined ? OLDEST_VERSION : asCount(header['n'])
    // Order: before anything else is read, since a newer program may say anything in a message that needs it.
    if (needs > PROTOCOL_VERSION) return { kind: 'refused', reason: 'NEEDS_NEWER_PROTOCOL', needs }
    const version = header['v'] === undefined ? OLDEST_VERSION : asCount(header['v'])
    const envelope = envelopeFrom(header, new BodyReader(bytes.subarray(bodiesAt)))
    return { kind: 'message', envelope, version }
  } catch {
    return { kind: 'refused', reason: 'MALFORMED' }
  }
}

/** Version 1 said neither. */
function versions(message: Message, version: number): object {
  if (version === OLDEST_VERSION) return {}
  const needs = neededVersion(message)
  return needs === OLDEST_VERSION ? { v: version } : { v: version, n: needs }
}

function contentOf(message: Message, bodies: Uint8Array[]): object {
  const addBody = (text: string): number => {
    const body = encoder.encode(text)
    bodies.push(body)
    return body.length
  }
  switch (message.kind) {
    case 'append': {
      const entries = message.entries.map((entry) => [
        entry.index,
        entry.term,
        entry.kind,
        addBody(entry.body),
      ])
      const { term, prevIndex, prevTerm, commit } = message
      return { term, prevIndex, prevTerm, commit, entries }
    }
    case 'install-snapshot': {
      const configuration = configurationFields(message.snapshot.configuration)
      const snapshot = { ...message.snapshot, configuration, body: addBody(message.snapshot.body) }
      return { term: message.term, snapshot }
    }
    case 'snapshot-chunk': {
      const configuration = configurationFields(message.snapshot.configuration)
      const body = addBody(message.body)
      const snapshot = { ...message.snapshot, configuration }
      return { ...message, kind: undefined, snapshot, body }
    }
    case 'propose':
      return { body: addBody(message.body) }
    case 'vote-request':
    case 'vote-response':
    case 'append-response':
    case 'heartbeat':
    case 'heartbeat-response':
    case 'snapshot-progress':
    case 'timeout-now':
    case 'read':
    case 'read-confirmed':
    case 'change-request':
    case 'change-answer':
    case 'removed': {
      const { kind: _kind, ...content } = message
      return content
    }
  }
}

function envelopeFrom(fields: Fields, bodies: BodyReader): Envelope {
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
    case 'append-response':
      return appendResponseFrom(fields)
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
    case 'change-request':
      return changeRequestFrom(fields)
    case 'change-answer':
      return changeAnswerFrom(fields)
    case 'removed':
      return { kind, index: asCount(fields['index']) }
    case 'snapshot-chunk':
      return chunkFrom(fields, bodies)
    case 'snapshot-progress':
      return {
        kind,
        term: asCount(fields['term']),
        index: asCount(fields['index']),
        offset: asCount(fields['offset']),
      }
    default:
      throw new Malformed()
  }
}

function appendResponseFrom(fields: Fields): Message {
  const response = {
    kind: 'append-response',
    term: asCount(fields['term']),
    index: asCount(fields['index']),
  } as const
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
    if (kind === 'configuration' && !hasVoters(decodeConfiguration(entry.body))) throw new Malformed()
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
      configuration: asConfiguration(snapshot['configuration']),
      body: bodies.take(asCount(snapshot['body']), SNAPSHOT_LENGTH_MAX),
    },
  }
}

/** The bounds hold for the whole of it too: a sender that announces more than a snapshot may have is refused at once. */
function chunkFrom(fields: Fields, bodies: BodyReader): Message {
  const snapshot = asFields(fields['snapshot'])
  const length = asCount(fields['length'])
  const offset = asCount(fields['offset'])
  const body = bodies.take(asCount(fields['body']), SNAPSHOT_CHUNK_LENGTH + 1)
  if (length > SNAPSHOT_LENGTH_MAX || offset + body.length > length) throw new Malformed()
  if (body === '' && length > 0) throw new Malformed()
  return {
    kind: 'snapshot-chunk',
    term: asCount(fields['term']),
    snapshot: {
      index: asCount(snapshot['index']),
      term: asCount(snapshot['term']),
      configuration: asConfiguration(snapshot['configuration']),
    },
    length,
    offset,
    body,
  }
}

function asConfiguration(value: unknown): Configuration {
  const configuration = parseConfiguration(value)
  if (configuration === undefined || !hasVoters(configuration)) throw new Malformed()
  return configuration
}

function hasVoters(configuration: Configuration | undefined): boolean {
  return configuration !== undefined && configuration.voters.length > 0
}

function changeRequestFrom(fields: Fields): Message {
  return {
    kind: 'change-request',
    term: asCount(fields['term']),
    id: asName(fields['id']),
    attempt: asCount(fields['attempt']),
    change: changeFrom(asFields(fields['change'])),
  }
}

function changeAnswerFrom(fields: Fields): Message {
  return {
    kind: 'change-answer',
    id: asName(fields['id']),
    attempt: asCount(fields['attempt']),
    verdict: verdictFrom(asFields(fields['verdict'])),
  }
}

function changeFrom(fields: Fields): MembershipChange {
  const member = asName(fields['member'])
  const kind = fields['kind']
  switch (kind) {
    case 'promote':
      return { kind, member }
    case 'remove': {
      if (fields['departed'] === undefined) return { kind, member }
      return { kind, member, departed: asList(fields['departed'], MEMBERS_MAX).map(asName) }
    }
    case 'add-learner': {
      const incarnation = asName(fields['incarnation'])
      if (!isIncarnation(incarnation)) throw new Malformed()
      return { kind, member, incarnation }
    }
    default:
      throw new Malformed()
  }
}

const REFUSALS: ReadonlySet<unknown> = new Set<MembershipRefusal>([
  'NOT_LEADER',
  'CHANGE_IN_PROGRESS',
  'NOT_READY',
  'NOT_CAUGHT_UP',
  'UNKNOWN_MEMBER',
  'ALREADY_MEMBER',
  'LAST_VOTER',
])

function verdictFrom(fields: Fields): ChangeVerdict {
  const { kind, reason, message } = fields
  if (kind === 'done') return { kind }
  if (kind !== 'refused' || !isRefusal(reason)) throw new Malformed()
  if (typeof message !== 'string' || message.length > REFUSAL_LENGTH_MAX) throw new Malformed()
  return { kind, reason, message, isFulfilled: asBoolean(fields['isFulfilled']) }
}

function isRefusal(value: unknown): value is MembershipRefusal {
  return REFUSALS.has(value)
}
