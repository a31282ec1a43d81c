/**
 * The wire room: PostgreSQL's protocol 3 as bytes and values, one file for each message family. Pure: it never opens
 * a socket, never waits, never decides. Whatever bytes come in, it answers with a value or a `Fault`; it keeps no
 * more than the limits that it was given.
 */
import { Fault } from '../std/fault.ts'
import { GiB } from '../std/units.ts'

/** A message after start-up: its type byte and what follows the length. */
export type Message = { readonly type: number; readonly body: Buffer }

/** PostgreSQL itself never sends a message beyond 1 GiB (MaxAllocSize). */
const MESSAGE_BYTES_MAX = GiB

const HEADER_BYTES = 5
const NOTHING = Buffer.alloc(0)

/** The type byte of a message as a number, e.g. `messageType('Z')`. */
export function messageType(letter: string): number {
  return letter.charCodeAt(0)
}

/** A whole message: type, length, body. */
export function message(type: string, body: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + body.length)
  bytes[0] = messageType(type)
  bytes.writeInt32BE(4 + body.length, 1)
  body.copy(bytes, HEADER_BYTES)
  return bytes
}

/**
 * Cuts a byte stream into whole messages. A body shares memory with the chunk that it came in: copy what is to be kept.
 * Throws `WIRE_LENGTH_INVALID` or `WIRE_MESSAGE_TOO_LARGE`; the stream is lost then, since nobody knows where it goes on.
 */
export class MessageReader {
  readonly #limitBytes: number
  #head: Buffer = NOTHING
  #at = 0
  #queue: Buffer[] = []
  #queuedBytes = 0

  constructor(options: { readonly limitBytes?: number } = {}) {
    this.#limitBytes = options.limitBytes ?? MESSAGE_BYTES_MAX
  }

  /** Bytes that were pushed and not yet given out. */
  get bufferedBytes(): number {
    return this.#head.length - this.#at + this.#queuedBytes
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return
    if (this.#queue.length === 0 && this.#at === this.#head.length) {
      this.#head = chunk
      this.#at = 0
      return
    }
    this.#queue.push(chunk)
    this.#queuedBytes += chunk.length
  }

  /** The next whole message; `undefined` until more bytes are pushed. */
  next(): Message | undefined {
    if (!this.#gather(HEADER_BYTES)) return undefined
    const length = this.#head.readInt32BE(this.#at + 1)
    if (length < 4) {
      throw new Fault(
        'WIRE_LENGTH_INVALID',
        `Cannot read a message: its length is ${length}, at least 4 is wanted`,
      )
    }
    if (length > this.#limitBytes) {
      throw new Fault(
        'WIRE_MESSAGE_TOO_LARGE',
        `Cannot read a message: its length is ${length}, the limit is ${this.#limitBytes} bytes`,
      )
    }
    if (!this.#gather(1 + length)) return undefined
    const start = this.#at
    this.#at += 1 + length
    const type = this.#head[start] as number
    return { type, body: this.#head.subarray(start + HEADER_BYTES, this.#at) }
  }

  /** What was pushed and not given out, as one piece; the reader is empty afterwards. */
  takeRest(): Buffer {
    const rest = Buffer.concat([this.#head.subarray(this.#at), ...this.#queue])
    this.#head = NOTHING
    this.#at = 0
    this.#queue = []
    this.#queuedBytes = 0
    return rest
  }

  /** Brings `wanted` bytes together in the head; joins the queue only when it is long enough, so a big body is copied once. */
  #gather(wanted: number): boolean {
    const there = this.#head.length - this.#at
    if (there >= wanted) return true
    if (there + this.#queuedBytes < wanted) return false
    this.#head = Buffer.concat([this.#head.subarray(this.#at), ...this.#queue], there + this.#queuedBytes)
    this.#at = 0
    this.#queue = []
    this.#queuedBytes = 0
    return true
  }
}
