/** Bytes of a client that cannot be sent yet, in the pieces that they came in: joined once, however many they are. */
export class KeptBytes {
  #pieces: Buffer[] = []
  #length = 0

  get length(): number {
    return this.#length
  }

  /** The first byte: where it is the beginning of a message, its type. */
  get first(): number | undefined {
    return this.#pieces[0]?.[0]
  }

  add(bytes: Buffer): void {
    if (bytes.length === 0) return
    this.#pieces.push(bytes)
    this.#length += bytes.length
  }

  /** Before everything else. */
  unread(bytes: Buffer): void {
    this.#pieces.unshift(bytes)
    this.#length += bytes.length
  }

  takeAll(): Buffer {
    const [only] = this.#pieces
    const all = this.#pieces.length === 1 && only ? only : Buffer.concat(this.#pieces, this.#length)
    this.#pieces.length = 0
    this.#length = 0
    return all
  }
}
