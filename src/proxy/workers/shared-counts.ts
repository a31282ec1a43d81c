/** Something that a node has only so many of; 0: as many as are wanted. */
export type Limit = { readonly name: string; readonly max: number }

/** What each worker has of what the node limits. A limit is counted at one place, so no worker's haste can exceed it. */
export class SharedCounts {
  readonly #byName = new Map<string, Map<number, number>>()

  /** One of each for a worker, or nothing: then the limit that is reached. */
  take(worker: number, limits: readonly Limit[]): Limit | undefined {
    const full = limits.find(({ name, max }) => max > 0 && this.total(name) >= max)
    if (full) return full
    for (const { name } of limits) this.#add(worker, name, 1)
    return undefined
  }

  give(worker: number, limits: readonly Pick<Limit, 'name'>[]): void {
    for (const { name } of limits) this.#add(worker, name, -1)
  }

  /** A worker that has ended has nothing. */
  forget(worker: number): void {
    for (const [name, counts] of this.#byName) {
      counts.delete(worker)
      if (counts.size === 0) this.#byName.delete(name)
    }
  }

  total(name: string): number {
    let sum = 0
    for (const count of this.#byName.get(name)?.values() ?? []) sum += count
    return sum
  }

  of(worker: number, name: string): number {
    return this.#byName.get(name)?.get(worker) ?? 0
  }

  /** Who has any, and how many. */
  holders(name: string): ReadonlyMap<number, number> {
    return this.#byName.get(name) ?? NOBODY
  }

  #add(worker: number, name: string, by: number): void {
    const counts = this.#byName.get(name) ?? new Map<number, number>()
    const count = (counts.get(worker) ?? 0) + by
    // Order: what a worker gives back that it was never lent would lend the others too much.
    if (count > 0) counts.set(worker, count)
    else counts.delete(worker)
    if (counts.size > 0) this.#byName.set(name, counts)
    else this.#byName.delete(name)
  }
}

const NOBODY: ReadonlyMap<number, number> = new Map()
