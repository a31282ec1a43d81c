/** What a scanner reports; called while it walks, so it must be cheap and must not throw. */
export interface MessageVisitor {
  /** A message begins. */
  message(type: number): void
  /** The whole body of a message whose type is to be captured. */
  captured(type: number, body: Buffer): void
}

const HEADER_BYTES = 5
/** Bodies beyond this are not captured: ReadyForQuery has 1 byte, BackendKeyData at most 260, PostgreSQL's longest own notice some 700. */
const CAPTURE_BYTES_MAX = 2048

/**
 * Walks over the headers of a byte stream, however it is cut into chunks, without keeping or copying its bodies.
 * A length below 4 makes it `lost`: from there on it reports nothing, and nobody may assume a message border.
 */
export class MessageScanner {
  readonly #visitor: MessageVisitor
  readonly #captureTypes: readonly number[]
  #type = 0
  #headerBytes = 0
  #length = 0
  #bodyLeft = 0
  #capture: Buffer | undefined
  #lost = false

  constructor(visitor: MessageVisitor, captureTypes: readonly number[] = []) {
    this.#visitor = visitor
    this.#captureTypes = captureTypes
  }

  /** The bytes so far end with a whole message. */
  get atBorder(): boolean {
    return !this.#lost && this.#headerBytes === 0 && this.#bodyLeft === 0
  }

  get lost(): boolean {
    return this.#lost
  }

  scan(chunk: Buffer): void {
    const end = chunk.length
    let at = 0
    while (at < end && !this.#lost) {
      at = this.#bodyLeft > 0 ? this.#skipBody(chunk, at) : this.#readHeader(chunk, at)
    }
  }

  #skipBody(chunk: Buffer, at: number): number {
    const step = Math.min(this.#bodyLeft, chunk.length - at)
    if (this.#capture) chunk.copy(this.#capture, this.#capture.length - this.#bodyLeft, at, at + step)
    this.#bodyLeft -= step
    if (this.#bodyLeft === 0 && this.#capture) {
      const body = this.#capture
      this.#capture = undefined
      this.#visitor.captured(this.#type, body)
    }
    return at + step
  }

  #readHeader(chunk: Buffer, start: number): number {
    let at = start
    if (this.#headerBytes === 0 && chunk.length - at >= HEADER_BYTES) {
      this.#type = chunk[at] as number
      this.#length = chunk.readInt32BE(at + 1)
      this.#begin()
      return at + HEADER_BYTES
    }
    while (at < chunk.length && this.#headerBytes < HEADER_BYTES) {
      const byte = chunk[at] as number
      if (this.#headerBytes === 0) this.#type = byte
      else this.#length = (this.#headerBytes === 1 ? 0 : this.#length << 8) | byte
      this.#headerBytes += 1
      at += 1
    }
    if (this.#headerBytes === HEADER_BYTES) this.#begin()
    return at
  }

  #begin(): void {
    this.#headerBytes = 0
    if (this.#length < 4) {
      this.#lost = true
      return
    }
    this.#bodyLeft = this.#length - 4
    this.#visitor.message(this.#type)
    if (
      this.#bodyLeft > 0 &&
      this.#bodyLeft <= CAPTURE_BYTES_MAX &&
      this.#captureTypes.includes(this.#type)
    ) {
      this.#capture = Buffer.allocUnsafe(this.#bodyLeft)
    }
  }
}
