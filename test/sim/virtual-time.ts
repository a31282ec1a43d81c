/** Happens at its time, unless it is cancelled before. */
type Event = { readonly at: number; readonly order: number; readonly run: () => void; isCancelled: boolean }

/** A clock that jumps from event to event. Events of one moment run in the order in which they were made. */
export class VirtualTime {
  #heap: Event[] = []
  #count = 0
  now = 0

  at(time: number, run: () => void): () => void {
    const event = this.plan(time, run)
    return () => {
      event.isCancelled = true
    }
  }

  /** As `at`, for who has an object of its own to cancel it by. */
  plan(time: number, run: () => void): { isCancelled: boolean } {
    const event: Event = { at: Math.max(time, this.now), order: this.#count, run, isCancelled: false }
    this.#count += 1
    this.#push(event)
    return event
  }

  after(ms: number, run: () => void): () => void {
    return this.at(this.now + ms, run)
  }

  /** Runs the next event; false when there is none until `end`, where the clock then stands. */
  step(end: number): boolean {
    for (;;) {
      const next = this.#heap[0]
      if (next === undefined || next.at > end) {
        this.now = Math.max(this.now, end)
        return false
      }
      this.#pop()
      if (next.isCancelled) continue
      this.now = next.at
      next.run()
      return true
    }
  }

  runUntil(end: number): void {
    while (this.step(end));
  }

  #push(event: Event): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(event)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(event, heap[parent] as Event)) break
      heap[at] = heap[parent] as Event
      at = parent
    }
    heap[at] = event
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Event, heap[child] as Event)) child += 1
      if (!isBefore(heap[child] as Event, last)) break
      heap[at] = heap[child] as Event
      at = child
    }
    heap[at] = last
  }
}

function isBefore(left: Event, right: Event): boolean {
  return left.at < right.at || (left.at === right.at && left.order < right.order)
}
