/** Where somebody stands in a line; absent while in none. */
export type Waiter = { place: number | undefined }

const EMPTY_PLACES_MAX = 64

/** First come, first served. A set does the same, but looks for its first behind all those that have gone before. */
export class WaitingLine<T extends Waiter> {
  #places: (T | undefined)[] = []
  /** Before it all places are empty. */
  #head = 0
  /** What the first place of the array is called: places that are left behind are cut off from time to time. */
  #firstPlace = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Who has waited longest. */
  get first(): T | undefined {
    while (this.#head < this.#places.length) {
      const waiter = this.#places[this.#head]
      if (waiter !== undefined) return waiter
      this.#head += 1
    }
    return undefined
  }

  add(waiter: T): void {
    if (this.#has(waiter)) return
    if (this.#head > EMPTY_PLACES_MAX && this.#head * 2 > this.#places.length) this.#cutOff()
    waiter.place = this.#firstPlace + this.#places.length
    this.#places.push(waiter)
    this.#size += 1
  }

  delete(waiter: T): void {
    if (!this.#has(waiter)) return
    this.#places[(waiter.place ?? 0) - this.#firstPlace] = undefined
    waiter.place = undefined
    this.#size -= 1
  }

  shift(): T | undefined {
    const { first } = this
    if (first !== undefined) this.delete(first)
    return first
  }

  /** Takes out whoever stands in it now, each just before its turn: it may be gone by then. */
  *takeAll(): Generator<T> {
    const end = this.#firstPlace + this.#places.length
    for (let next = this.first; next?.place !== undefined && next.place < end; next = this.first) {
      this.delete(next)
      yield next
    }
  }

  #has(waiter: T): boolean {
    return waiter.place !== undefined && this.#places[waiter.place - this.#firstPlace] === waiter
  }

  #cutOff(): void {
    this.#places = this.#places.slice(this.#head)
    this.#firstPlace += this.#head
    this.#head = 0
  }
}
