import { KiB } from '../../std/units.ts'
import { HEADER_BYTES } from './client-messages.ts'
import { KeptBytes } from './kept-bytes.ts'

const KEPT_BYTES_MAX = 64 * KiB
const EMPTY = Buffer.alloc(0)

/**
 * Where the reading of a client's bytes has come to: the chunk at hand, how much of it was sent on, where the next message
 * begins, and what waits to be read. Messages may begin and end anywhere in chunks; their bodies are not copied.
 */
export class MessageCursor {
  readonly #kept = new KeptBytes()
  #chunk: Buffer = EMPTY
  #sent = 0
  #at = 0
  /** Bytes that have to be there before it is worth looking again. */
  #need = 0
  #bodyLeft = 0
  #discards = false

  get chunk(): Buffer {
    return this.#chunk
  }

  /** Where the message at hand begins. */
  get at(): number {
    return this.#at
  }

  /** As much waits as a client may send ahead; what has to be there as a whole may be more. */
  get isFull(): boolean {
    return this.#kept.length > KEPT_BYTES_MAX && this.#need === 0
  }

  /** The first byte that waits: the type of a message, when reading stopped before one. */
  get firstKept(): number | undefined {
    return this.#kept.first
  }

  get isInsideMessage(): boolean {
    return this.#bodyLeft > 0
  }

  get hasEnough(): boolean {
    return this.#kept.length >= this.#need && this.#kept.length > 0
  }

  /** The type of the message at hand; `undefined` while its header is not there. */
  get type(): number | undefined {
    return this.#chunk.length - this.#at < HEADER_BYTES ? undefined : this.#chunk[this.#at]
  }

  /** Where the message at hand ends, perhaps beyond the chunk; `undefined` when its length is none. */
  get end(): number | undefined {
    const length = this.#chunk.readInt32BE(this.#at + 1)
    return length < 4 ? undefined : this.#at + 1 + length
  }

  add(bytes: Buffer): void {
    this.#kept.add(bytes)
  }

  /** Messages that were sent, and are to be read once more before what waits. */
  unread(messages: Buffer): void {
    this.#kept.unread(messages)
  }

  /** Takes what waits as the chunk at hand, and goes over the rest of a message whose beginning was in an earlier one. */
  open(): void {
    this.#need = 0
    this.#chunk = this.#kept.takeAll()
    const bytes = Math.min(this.#bodyLeft, this.#chunk.length)
    this.#bodyLeft -= bytes
    this.#at = bytes
    this.#sent = this.#discards ? bytes : 0
    if (this.#bodyLeft === 0) this.#discards = false
  }

  /** The bytes before the message at hand that have not been sent; they count as sent from now on. */
  takeUnsent(): Buffer | undefined {
    const from = this.#sent
    this.#sent = this.#at
    if (this.#at === from) return undefined
    return from === 0 && this.#at === this.#chunk.length ? this.#chunk : this.#chunk.subarray(from, this.#at)
  }

  /** What has not been read waits for `open`. */
  close(): void {
    const { length } = this.#chunk
    // A copy of a small rest, so that it does not keep its chunk.
    if (this.#at === 0) this.#kept.add(this.#chunk)
    else if (this.#at < length) this.#kept.add(Buffer.from(this.#chunk.subarray(this.#at)))
    this.#chunk = EMPTY
    this.#at = 0
    this.#sent = 0
  }

  /** The message at hand goes on as it is, the part of it that is not there yet too. */
  passOn(end: number): void {
    this.#at = Math.min(end, this.#chunk.length)
    this.#bodyLeft = end - this.#at
  }

  /** The message at hand is not sent on, the part of it that is not there yet neither. */
  consume(end: number): void {
    this.passOn(end)
    this.#sent = this.#at
    this.#discards = this.#bodyLeft > 0
  }

  /** Something else was sent for the bytes up to here; what is left of the message goes on as it is. */
  replaced(upTo: number, end: number): void {
    this.#at = upTo
    this.#sent = upTo
    this.passOn(end)
  }

  /** Nothing is done before this many bytes of the message at hand are there; false when that is beyond `limit`. */
  waitFor(bytes: number, limit: number): boolean {
    this.#need = Math.max(bytes, this.#chunk.length - this.#at + 1)
    return this.#need <= limit
  }

  /** The message that is being sent will not be sent to its end. */
  discardRest(): void {
    this.#discards = this.#bodyLeft > 0
  }

  /** Drops the message that reading stopped before. */
  consumeFirst(): void {
    this.open()
    const { end } = this
    if (end !== undefined) this.consume(end)
    this.close()
  }

  clear(): void {
    this.#kept.takeAll()
    this.#chunk = EMPTY
  }
}
