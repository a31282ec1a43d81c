/** Bytes of a client that cannot be sent yet, in the pieces that they came in: joined once, however many they are. */
export class KeptBytes {
  /** Nearly always there is but one piece. */
  #head: Buffer | undefined
  #others: Buffer[] = []
  #length = 0

  get length(): number {
    return this.#length
  }

  /** The first byte: where it is the beginning of a message, its type. */
  get first(): number | undefined {
    return this.#head?.[0]
  }

  add(bytes: Buffer): void {
    if (bytes.length === 0) return
    if (this.#head === undefined) this.#head = bytes
    else this.#others.push(bytes)
    this.#length += bytes.length
  }

  /** Before everything else. */
  unread(bytes: Buffer): void {
    if (this.#head !== undefined) this.#others.unshift(this.#head)
    this.#head = bytes
    this.#length += bytes.length
  }

  takeAll(): Buffer {
    const head = this.#head ?? NOTHING
    this.#head = undefined
    const length = this.#length
    this.#length = 0
    if (this.#others.length === 0) return head
    const all = Buffer.concat([head, ...this.#others], length)
    this.#others = []
    return all
  }
}

const NOTHING = Buffer.alloc(0)
