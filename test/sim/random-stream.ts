import { draw } from '../../src/raft/jitter.ts'

/** One stream of chance. Each concern has its own, so that one more draw in one does not change all the others. */
export class RandomStream {
  #seed: number

  constructor(seed: number, concern: string) {
    let mixed = seed | 0
    for (const letter of concern) mixed = Math.imul(mixed ^ letter.charCodeAt(0), 0x01000193)
    this.#seed = mixed
  }

  /** In [0, 1). */
  next(): number {
    const { value, seed } = draw(this.#seed)
    this.#seed = seed
    return value
  }

  /** An integer in [min, max). */
  below(max: number, min = 0): number {
    return min + Math.floor(this.next() * (max - min))
  }

  between(min: number, max: number): number {
    return min + this.next() * (max - min)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)]
    if (item === undefined) throw new Error('Nothing to pick from')
    return item
  }

  exponential(mean: number): number {
    return -mean * Math.log(1 - this.next())
  }
}
