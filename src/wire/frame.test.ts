import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { buildErrorResponse, buildFatalResponse, parseErrorResponse } from './error-response.ts'
import { message, MessageReader, messageType } from './frame.ts'
import { MessageScanner } from './message-scanner.ts'

const messages = fc.array(
  fc.record({
    type: fc.constantFrom('Q', 'D', 'Z', 'K', 'd', 'E'),
    body: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  }),
  { maxLength: 12 },
)
const cuts = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 20 })

/** The same bytes in chunks of the given lengths, repeated. */
function cut(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const chunks: Buffer[] = []
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const length = lengths[turn % lengths.length] as number
    chunks.push(bytes.subarray(at, at + length))
    at += length
  }
  return chunks
}

function readAll(reader: MessageReader): { type: string; body: Buffer }[] {
  const found: { type: string; body: Buffer }[] = []
  for (let next = reader.next(); next; next = reader.next()) {
    found.push({ type: String.fromCharCode(next.type), body: next.body })
  }
  return found
}

describe('MessageReader', () => {
  it('gives the same messages however the bytes are cut', () => {
    fc.assert(
      fc.property(messages, cuts, (list, lengths) => {
        const reader = new MessageReader()
        const bytes = Buffer.concat(list.map((each) => message(each.type, each.body)))
        const found = cut(bytes, lengths).flatMap((chunk) => {
          reader.push(chunk)
          return readAll(reader)
        })
        expect(found).toEqual(list)
        expect(reader.bufferedBytes).toBe(0)
      }),
    )
  })

  it('hands out what stands behind the last message that was taken', () => {
    const reader = new MessageReader()
    reader.push(Buffer.concat([message('Z', Buffer.from('I')), Buffer.from('D\0')]))
    reader.push(Buffer.from('\0\0'))
    expect(reader.next()?.type).toBe(messageType('Z'))
    expect(reader.takeRest()).toEqual(Buffer.from('D\0\0\0'))
    expect(reader.bufferedBytes).toBe(0)
  })

  it('refuses a length that cannot be and one beyond the limit', () => {
    const short = new MessageReader()
    short.push(Buffer.from([0x51, 0, 0, 0, 3]))
    expect(() => short.next()).toThrow(expect.objectContaining({ code: 'WIRE_LENGTH_INVALID' }))
    const long = new MessageReader({ limitBytes: 100 })
    long.push(message('Q', Buffer.alloc(97)))
    expect(() => long.next()).toThrow(expect.objectContaining({ code: 'WIRE_MESSAGE_TOO_LARGE' }))
  })
})

describe('MessageScanner', () => {
  it('sees every message and captures the wanted bodies however the bytes are cut', () => {
    fc.assert(
      fc.property(messages, cuts, (list, lengths) => {
        const types: number[] = []
        const bodies: [number, Buffer][] = []
        const visitor = {
          message: (type: number) => void types.push(type),
          captured: (type: number, body: Buffer) => void bodies.push([type, body]),
        }
        const scanner = new MessageScanner(visitor, [messageType('Z'), messageType('K')])
        const bytes = Buffer.concat(list.map((each) => message(each.type, each.body)))
        for (const chunk of cut(bytes, lengths)) scanner.scan(chunk)
        expect(types).toEqual(list.map((each) => messageType(each.type)))
        const wanted = list.filter((each) => 'ZK'.includes(each.type) && each.body.length > 0)
        expect(bodies).toEqual(wanted.map((each) => [messageType(each.type), each.body]))
        expect(scanner.atBorder).toBe(true)
      }),
    )
  })

  it('is at a border only between whole messages', () => {
    const scanner = new MessageScanner({ message: () => {}, captured: () => {} })
    const bytes = message('D', Buffer.alloc(3))
    for (let at = 0; at < bytes.length; at += 1) {
      scanner.scan(bytes.subarray(at, at + 1))
      expect(scanner.atBorder).toBe(at === bytes.length - 1)
    }
  })

  it('claims nothing any more after a length that cannot be', () => {
    let seen = 0
    const scanner = new MessageScanner({ message: () => void (seen += 1), captured: () => {} })
    scanner.scan(Buffer.concat([Buffer.from([0x51, 0xff, 0xff, 0xff, 0xff]), message('Q', Buffer.alloc(1))]))
    expect([seen, scanner.lost, scanner.atBorder]).toEqual([0, true, false])
  })
})

describe('ErrorResponse', () => {
  it('reads back the fields that were written', () => {
    const letter = fc.constantFrom(...'SVCMDHPpqWsctdnFLR'.split(''))
    const value = fc.string({ unit: 'grapheme' }).filter((each) => !each.includes('\0'))
    fc.assert(
      fc.property(fc.dictionary(letter, value), (fields) => {
        expect(parseErrorResponse(buildErrorResponse(fields).subarray(5))).toEqual({ ...fields })
      }),
    )
  })

  it('cannot be broken by a zero byte in a value', () => {
    const built = buildFatalResponse({ sqlState: '57P03', message: 'a\0b' })
    expect(parseErrorResponse(built.subarray(5))).toEqual({ S: 'FATAL', V: 'FATAL', C: '57P03', M: 'ab' })
  })

  it('is read as far as it goes, whatever the bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => void parseErrorResponse(Buffer.from(bytes))),
    )
    expect(parseErrorResponse(Buffer.from('C57P03\0Mcut'))).toEqual({ C: '57P03' })
  })
})
