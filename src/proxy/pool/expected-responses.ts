/** What is done with the response that is expected next. */
export type Expected =
  /** ReadyForQuery: the end of what a Query, FunctionCall or Sync began. */
  | 'READY'
  /** ParseComplete or CloseComplete that the client waits for. */
  | 'PASS'
  /** One of ours that the client knows nothing of. */
  | 'DROP'
  /** A CloseComplete in whose place the client expects a ParseComplete: nothing had to be parsed. */
  | 'AS_PARSED'

/** Called when the message that was sent turns out not to have been carried out. */
export type Undo = () => void

/**
 * The responses that one server connection still owes and that have to be told apart, in order. Rows, BindComplete and
 * the like go through unseen, so a simple query costs one entry.
 * Invariant: an error in a batch voids everything up to the next READY, since PostgreSQL skips to the Sync.
 */
export class ExpectedResponses {
  /** Slots `head` to `tail` count. Order: no slot is cut off, since making an array shorter costs more than all else here. */
  readonly #kinds: Expected[] = []
  readonly #undos: (Undo | undefined)[] = []
  #head = 0
  #tail = 0
  #owedReady = 0
  /** READYs since the last Execute: PostgreSQL ignores the Syncs when that Execute turns out to be a COPY FROM. */
  #readyAtExecute = 0

  /** ReadyForQuery messages that are still to come. */
  get owedReady(): number {
    return this.#owedReady
  }

  get isEmpty(): boolean {
    return this.#head === this.#tail
  }

  push(kind: Expected, undo?: Undo): void {
    this.#kinds[this.#tail] = kind
    this.#undos[this.#tail] = undo
    this.#tail += 1
    if (kind === 'READY') this.#owedReady += 1
  }

  /** An Execute was sent, or a Query together with its READY. */
  executed(): void {
    this.#readyAtExecute = this.#owedReady
  }

  /** Takes what a ParseComplete or CloseComplete is for; `READY` or `undefined`: nobody waits for one. */
  takeComplete(): Expected | undefined {
    if (this.isEmpty) return undefined
    const kind = this.#kinds[this.#head]
    if (kind === 'READY') return kind
    this.#shift()
    return kind
  }

  /** A ReadyForQuery came; false when none was owed. What was skipped before it is undone. */
  takeReady(): boolean {
    this.failBatch()
    if (this.isEmpty) return false
    this.#shift()
    this.#owedReady -= 1
    if (this.#readyAtExecute > 0) this.#readyAtExecute -= 1
    return true
  }

  /** An ErrorResponse came: the rest of its batch will not be answered. */
  failBatch(): void {
    let undos: Undo[] | undefined
    while (!this.isEmpty && this.#kinds[this.#head] !== 'READY') {
      const undo = this.#undos[this.#head]
      this.#shift()
      if (undo) (undos ??= []).push(undo)
    }
    // Order: the last one first, since it was done to what the others had made.
    if (undos) for (const undo of undos.toReversed()) undo()
  }

  /** CopyInResponse came: the Syncs that were sent behind the Execute are read as part of the COPY, and not answered. */
  copyInBegan(): void {
    while (this.#owedReady > this.#readyAtExecute && this.#kinds[this.#tail - 1] === 'READY') {
      this.#tail -= 1
      this.#owedReady -= 1
    }
  }

  #shift(): void {
    this.#undos[this.#head] = undefined
    this.#head += 1
    if (this.isEmpty) {
      this.#head = 0
      this.#tail = 0
    }
  }
}
