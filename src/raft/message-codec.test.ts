import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MEMBERS_MAX, MESSAGE_BYTES_MAX } from './limits.ts'
import type { Entry, Message } from './message.ts'
import { encodeConfiguration } from './configuration.ts'
import { nameOf } from './member-id.ts'
import { decodeMessage, encodeMessage, type Envelope } from './message-codec.ts'
import { neededVersion, PROTOCOL_VERSION } from './protocol.ts'

const count = fc.nat(Number.MAX_SAFE_INTEGER)
const name = fc.string({ minLength: 1, maxLength: 20 })
const body = fc.string({ unit: 'grapheme', maxLength: 200 })

const configuration = fc
  .uniqueArray(name, { minLength: 1, maxLength: 9, selector: nameOf })
  .chain((members) =>
    fc.nat(members.length - 1).map((learners) => ({
      voters: members.slice(learners),
      learners: members.slice(0, learners),
    })),
  )

const append: fc.Arbitrary<Message> = fc
  .record({
    prevIndex: fc.nat(1000),
    prevTerm: fc.nat(5),
    commit: count,
    bodies: fc.array(
      fc.tuple(
        fc.nat(2),
        fc.oneof(
          fc.record({ kind: fc.constantFrom('noop' as const, 'command' as const), body }),
          configuration.map((members) => ({
            kind: 'configuration' as const,
            body: encodeConfiguration(members),
          })),
        ),
      ),
      { maxLength: 10 },
    ),
  })
  .map(({ prevIndex, prevTerm, commit, bodies }) => {
    let term = prevTerm
    const entries = bodies.map(([more, content], at): Entry => {
      term += more
      return { index: prevIndex + 1 + at, term, ...content }
    })
    return { kind: 'append', term: term + 1, prevIndex, prevTerm, commit, entries }
  })

const message: fc.Arbitrary<Message> = fc.oneof(
  append,
  fc.record({
    kind: fc.constant('vote-request' as const),
    term: count,
    pre: fc.boolean(),
    transfer: fc.boolean(),
    lastIndex: count,
    lastTerm: count,
  }),
  fc.record({
    kind: fc.constant('vote-response' as const),
    term: count,
    pre: fc.boolean(),
    granted: fc.boolean(),
  }),
  fc.record(
    {
      kind: fc.constant('append-response' as const),
      term: count,
      index: count,
      rejected: fc.record({ index: count, hintIndex: count, hintTerm: count }),
    },
    { requiredKeys: ['kind', 'term', 'index'] },
  ),
  fc.record({ kind: fc.constant('heartbeat' as const), term: count, commit: count, round: count }),
  fc.record({ kind: fc.constant('heartbeat-response' as const), term: count, round: count }),
  fc.record({
    kind: fc.constant('install-snapshot' as const),
    term: count,
    snapshot: fc.record({
      index: count,
      term: count,
      body,
      configuration,
    }),
  }),
  fc
    .record({ term: count, index: count, configuration, before: body, piece: body, after: body })
    .map(({ term, index, configuration: members, before, piece, after }) => ({
      kind: 'snapshot-chunk' as const,
      term,
      snapshot: { index, term, configuration: members },
      length: before.length + piece.length + 1 + after.length,
      offset: before.length,
      body: `${piece}.`,
    })),
  fc.record({ kind: fc.constant('snapshot-progress' as const), term: count, index: count, offset: count }),
  fc.record({ kind: fc.constant('timeout-now' as const), term: count }),
  fc.record({ kind: fc.constant('propose' as const), body }),
  fc.record({ kind: fc.constant('read' as const), id: name }),
  fc.record({ kind: fc.constant('read-confirmed' as const), id: name, index: count }),
  fc.record({
    kind: fc.constant('change-request' as const),
    term: count,
    id: name,
    attempt: count,
    change: fc.oneof(
      fc.record({
        kind: fc.constant('add-learner' as const),
        member: name,
        incarnation: fc.stringMatching(/^[0-9a-f]{1,32}$/),
      }),
      fc.record({ kind: fc.constant('promote' as const), member: name }),
      fc.record(
        {
          kind: fc.constant('remove' as const),
          member: name,
          departed: fc.array(name, { maxLength: MEMBERS_MAX }),
        },
        { requiredKeys: ['kind', 'member'] },
      ),
    ),
  }),
  fc.record({
    kind: fc.constant('change-answer' as const),
    id: name,
    attempt: count,
    verdict: fc.oneof(
      fc.constant({ kind: 'done' as const }),
      fc.record({
        kind: fc.constant('refused' as const),
        reason: fc.constantFrom('NOT_READY' as const, 'LAST_VOTER' as const),
        message: body,
        isFulfilled: fc.boolean(),
      }),
    ),
  }),
  fc.record({ kind: fc.constant('removed' as const), index: count }),
)

const envelope: fc.Arbitrary<Envelope> = fc.record({ group: name, from: name, to: name, message })

describe('the message codec', () => {
  it('reads what it wrote', () => {
    fc.assert(
      fc.property(envelope, (sent) => {
        expect(decodeMessage(encodeMessage(sent))).toEqual({
          kind: 'message',
          envelope: sent,
          version: PROTOCOL_VERSION,
        })
      }),
    )
  })

  it('refuses a cut or prolonged message', () => {
    fc.assert(
      fc.property(envelope, fc.nat(), (sent, at) => {
        const bytes = encodeMessage(sent)
        expect(decodeMessage(bytes.subarray(0, at % bytes.length)).kind).toBe('refused')
        expect(decodeMessage(new Uint8Array([...bytes, 0])).kind).toBe('refused')
      }),
    )
  })

  it('never throws, whatever comes', () => {
    fc.assert(
      fc.property(envelope, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 5 }), (sent, flips) => {
        const bytes = encodeMessage(sent)
        for (const [at, value] of flips) bytes[at % bytes.length] = value
        expect(['message', 'refused']).toContain(decodeMessage(bytes).kind)
      }),
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(decodeMessage(bytes).kind).toBe('refused')
      }),
    )
  })

  it('refuses another layout', () => {
    const bytes = encodeMessage({ group: 'g', from: 'a', to: 'b', message: { kind: 'timeout-now', term: 1 } })
    bytes[0] = 2
    expect(decodeMessage(bytes)).toEqual({ kind: 'refused', reason: 'OTHER_LAYOUT' })
  })

  it('refuses an append that would trip the core: gaps, falling terms, terms above the leader', () => {
    const entry = (index: number, term: number): Entry => ({ index, term, kind: 'command', body: 'x' })
    const bad: (readonly Entry[])[] = [
      [entry(7, 2)],
      [entry(6, 2), entry(8, 2)],
      [entry(6, 1)],
      [entry(6, 3), entry(7, 2)],
      [entry(6, 4)],
    ]
    for (const entries of [[entry(6, 2), entry(7, 3)], ...bad]) {
      const message = { kind: 'append', term: 3, prevIndex: 5, prevTerm: 2, commit: 0, entries } as const
      const { kind } = decodeMessage(encodeMessage({ group: 'g', from: 'a', to: 'b', message }))
      expect([entries, kind]).toEqual([entries, bad.includes(entries) ? 'refused' : 'message'])
    }
  })

  it('does not look into what is too long', () => {
    expect(decodeMessage(new Uint8Array(MESSAGE_BYTES_MAX + 1))).toEqual({
      kind: 'refused',
      reason: 'TOO_LONG',
    })
  })
})

/** What a program of protocol version 1 wrote, one message of each kind: its bytes, from `n1` to `n2` in group `g`. */
const oldLines = readFileSync(new URL('../../test/fixtures/raft-protocol-1.txt', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => new Uint8Array(Buffer.from(line.split(' ')[1] ?? '', 'hex')))

const oldConfiguration = { voters: ['n1', 'n2', 'n3'], learners: [] }
const oldMessages: readonly Message[] = [
  { kind: 'vote-request', term: 3, pre: true, transfer: false, lastIndex: 7, lastTerm: 2 },
  { kind: 'vote-response', term: 3, pre: true, granted: true },
  {
    kind: 'append',
    term: 3,
    prevIndex: 5,
    prevTerm: 2,
    commit: 4,
    entries: [
      { index: 6, term: 3, kind: 'noop', body: '' },
      { index: 7, term: 3, kind: 'command', body: '{"kind":"open","nonce":"ü"}' },
    ],
  },
  { kind: 'append-response', term: 3, index: 7 },
  { kind: 'append-response', term: 3, index: 0, rejected: { index: 9, hintIndex: 6, hintTerm: 2 } },
  { kind: 'heartbeat', term: 3, commit: 6, round: 2 },
  { kind: 'heartbeat-response', term: 3, round: 2 },
  {
    kind: 'install-snapshot',
    term: 3,
    snapshot: { index: 5, term: 2, configuration: oldConfiguration, body: '{"format":1}' },
  },
  { kind: 'timeout-now', term: 3 },
  { kind: 'propose', body: '{"kind":"open","nonce":"x"}' },
  { kind: 'read', id: 'r.1' },
  { kind: 'read-confirmed', id: 'r.1', index: 6 },
]

describe('beside a program of protocol version 1', () => {
  const addressed = (sent: Message): Envelope => ({ group: 'g', from: 'n1', to: 'n2', message: sent })

  it('reads what that one writes', () => {
    expect(oldLines).toHaveLength(oldMessages.length)
    expect(oldLines.map(decodeMessage)).toEqual(
      oldMessages.map((old) => ({ kind: 'message', envelope: addressed(old), version: 1 })),
    )
  })

  it('writes what that one reads: the same, with the version in a field that it ignores', () => {
    for (const [index, old] of oldMessages.entries()) {
      expect(encodeMessage(addressed(old), 1)).toEqual(oldLines[index])
      const text = Buffer.from(encodeMessage(addressed(old))).toString('latin1')
      const same = Buffer.from(oldLines[index] ?? []).toString('latin1')
      expect(text[0]).toBe(same[0])
      expect(text.slice(5).replace(',"v":2', '')).toBe(same.slice(5))
    }
  })

  it('sends it nothing that it does not know', () => {
    const known = new Set(oldMessages.map(({ kind }) => kind))
    fc.assert(
      fc.property(message, (sent) => {
        const bringsChange =
          sent.kind === 'append' && sent.entries.some(({ kind }) => kind === 'configuration')
        expect(neededVersion(sent) === 1).toBe(known.has(sent.kind) && !bringsChange)
      }),
    )
  })

  it('refuses what a newer program says only to its own, whatever it is, and tells what it needs', () => {
    const header = Buffer.from('{"g":"g","f":"n1","t":"n2","v":9,"n":9,"k":"merge","m":7}')
    const bytes = new Uint8Array([1, 0, 0, 0, header.length, ...header])
    expect(decodeMessage(bytes)).toEqual({ kind: 'refused', reason: 'NEEDS_NEWER_PROTOCOL', needs: 9 })
    // What it says to everybody is understood, with fields that are new.
    const known = Buffer.from(
      '{"g":"g","f":"n1","t":"n2","v":9,"k":"timeout-now","m":{"term":3,"why":"x"},"x":1}',
    )
    expect(decodeMessage(new Uint8Array([1, 0, 0, 0, known.length, ...known]))).toEqual({
      kind: 'message',
      envelope: addressed({ kind: 'timeout-now', term: 3 }),
      version: 9,
    })
  })
})
