import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  buildCancelRequest,
  buildGssRequest,
  buildSslRequest,
  buildStartup,
  parseBackendKey,
  parseStartup,
  STARTUP_BYTES_MAX,
} from './startup.ts'

const text = fc.string({ unit: 'grapheme', maxLength: 40 }).filter((value) => !value.includes('\0'))
const name = text.filter((value) => value.length > 0)

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value | 0)
  return bytes
}

function packet(code: number, rest: Buffer): Buffer {
  return Buffer.concat([word(8 + rest.length), word(code), rest])
}

describe('startup packets', () => {
  it('read back every set of parameters, for protocol 3.0 and 3.2, and leave what follows', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(name, text), { selector: ([key]) => key, maxLength: 8 }),
        fc.constantFrom(0 as const, 2 as const),
        fc.uint8Array({ maxLength: 20 }),
        (pairs, minor, rest) => {
          const built = buildStartup(new Map(pairs), { minor })
          const parsed = parseStartup(Buffer.concat([built, rest]))
          expect(parsed).toEqual({ kind: 'startup', bytes: built.length, minor, parameters: new Map(pairs) })
        },
      ),
    )
  })

  it('are incomplete at every cut', () => {
    const built = buildStartup({ user: 'app', database: 'app' })
    for (let length = 0; length < built.length; length += 1) {
      expect(parseStartup(built.subarray(0, length)).kind).toBe('incomplete')
    }
  })

  it('carry a cancel key of 4 to 256 bytes and refuse other lengths', () => {
    for (const bytes of [4, 32, 256]) {
      const key = { processId: -5, secret: Buffer.alloc(bytes, 0xab) }
      const built = buildCancelRequest(key)
      expect(parseStartup(built)).toEqual({ kind: 'cancel-request', bytes: built.length, key })
    }
    for (const bytes of [0, 3, 257]) {
      const built = buildCancelRequest({ processId: 1, secret: Buffer.alloc(bytes) })
      expect(parseStartup(built).kind).toBe('malformed')
    }
  })

  it('recognise requests for encryption', () => {
    expect(parseStartup(buildSslRequest())).toEqual({ kind: 'ssl-request', bytes: 8 })
    expect(parseStartup(buildGssRequest())).toEqual({ kind: 'gss-request', bytes: 8 })
  })

  it('refuse hostile packets with the reason', () => {
    const cases: [string, Buffer][] = [
      ['LENGTH_OUT_OF_RANGE', word(7)],
      ['LENGTH_OUT_OF_RANGE', word(-1)],
      ['LENGTH_OUT_OF_RANGE', word(STARTUP_BYTES_MAX + 1)],
      ['LENGTH_OUT_OF_RANGE', Buffer.from('GET / HTTP/1.1\r\n')],
      ['TLS_WITHOUT_REQUEST', Buffer.from([0x16, 3, 1])],
      ['PROTOCOL_UNSUPPORTED', packet(2 << 16, Buffer.alloc(288))],
      ['PARAMETERS_INVALID', packet(3 << 16, Buffer.from('user'))],
      ['PARAMETERS_INVALID', packet(3 << 16, Buffer.from('user\0app\0'))],
      ['PARAMETERS_INVALID', packet(3 << 16, Buffer.from('user\0app\0\0\0'))],
      ['PARAMETERS_INVALID', packet(3 << 16, Buffer.alloc(0))],
    ]
    for (const [reason, bytes] of cases) expect(parseStartup(bytes)).toEqual({ kind: 'malformed', reason })
  })

  it('never look for a parameter in what was pipelined behind the packet', () => {
    const cut = packet(3 << 16, Buffer.from('user\0ap'))
    expect(parseStartup(Buffer.concat([cut, Buffer.from('p\0\0')])).kind).toBe('malformed')
  })

  it('never throw, whatever the bytes are', () => {
    const code = fc.constantFrom(3 << 16, (3 << 16) | 2, 80_877_102, 80_877_103, 80_877_104, 0)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void parseStartup(Buffer.from(bytes))),
    )
    fc.assert(
      fc.property(code, fc.uint8Array({ maxLength: 300 }), (kind, bytes) => {
        void parseStartup(packet(kind, Buffer.from(bytes)))
      }),
    )
  })

  it('cannot be built from a parameter that the protocol cannot carry', () => {
    for (const bad of [{ '': 'x' }, { 'a\0b': 'x' }, { a: 'x\0y' }, { a: 'x'.repeat(STARTUP_BYTES_MAX) }]) {
      expect(() => buildStartup(bad)).toThrow(/Cannot write/)
    }
  })
})

describe('BackendKeyData', () => {
  it('gives the key that a cancel request needs, and refuses a secret of another length', () => {
    const body = Buffer.concat([word(77), Buffer.from('secret!!')])
    expect(parseBackendKey(body)).toEqual({ processId: 77, secret: Buffer.from('secret!!') })
    expect(parseBackendKey(Buffer.alloc(3))).toBeUndefined()
    expect(parseBackendKey(Buffer.alloc(4 + 257))).toBeUndefined()
  })
})
