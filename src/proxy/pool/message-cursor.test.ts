import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { message } from '../../wire/frame.ts'
import { MessageCursor } from './message-cursor.ts'

/** Reads chunks as a client does: `A` passes on, `D` is dropped, `R` is replaced by `r` and its last byte. */
function readAll(chunks: readonly Buffer[]): Buffer {
  const cursor = new MessageCursor()
  const sent: Buffer[] = []
  const flush = (): void => {
    const bytes = cursor.takeUnsent()
    if (bytes) sent.push(Buffer.from(bytes))
  }
  for (const chunk of chunks) {
    cursor.add(chunk)
    if (!cursor.hasEnough) continue
    cursor.open()
    for (let type = cursor.type; type !== undefined; type = cursor.type) {
      const end = cursor.end ?? 0
      if (type === 0x41) cursor.passOn(end)
      else if (type === 0x44) {
        flush()
        cursor.consume(end)
      } else if (cursor.chunk.length < end) {
        cursor.waitFor(end - cursor.at, 10_000)
        break
      } else {
        flush()
        sent.push(Buffer.from('r'))
        cursor.replaced(end - 1, end)
      }
    }
    flush()
    cursor.close()
  }
  return Buffer.concat(sent)
}

describe('a cursor over a client’s messages', () => {
  it('passes on, drops and replaces the same bytes however the stream is cut', () => {
    const one = fc.tuple(fc.constantFrom('A', 'D', 'R'), fc.uint8Array({ minLength: 1, maxLength: 40 }))
    fc.assert(
      fc.property(
        fc.array(one, { maxLength: 12 }),
        fc.array(fc.nat(60), { maxLength: 30 }),
        (parts, cuts) => {
          const stream = Buffer.concat(parts.map(([type, body]) => message(type, Buffer.from(body))))
          const wanted = Buffer.concat(
            parts.map(([type, body]) => {
              if (type === 'A') return message(type, Buffer.from(body))
              return type === 'D' ? Buffer.alloc(0) : Buffer.from([0x72, body.at(-1) ?? 0])
            }),
          )
          const chunks: Buffer[] = []
          let at = 0
          for (const cut of cuts) {
            chunks.push(stream.subarray(at, at + cut))
            at += cut
          }
          chunks.push(stream.subarray(at))
          expect(readAll(chunks)).toEqual(wanted)
        },
      ),
    )
  })

  it('refuses to wait for more than its limit, and finds no end where a length is none', () => {
    const cursor = new MessageCursor()
    cursor.add(Buffer.from([0x41, 0, 0, 0, 3]))
    cursor.open()
    expect(cursor.end).toBeUndefined()
    expect([cursor.waitFor(100, 99), cursor.waitFor(99, 99)]).toEqual([false, true])
  })
})
