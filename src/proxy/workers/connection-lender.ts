import type { Limit, SharedCounts } from './shared-counts.ts'

/** What a worker is told. */
export interface Borrowers {
  /** The wish has come true: it may open one connection. */
  lend(worker: number, wish: number): void
  /** Others want connections that count to this limit. */
  recall(worker: number, recall: Recall): void
}

/** `most`: end connections until so many are left; `idle`: beyond that, so many that nobody has used for a while. */
export type Recall = { readonly limit: string; readonly most: number; readonly idle: number }

/** `limits`: the pool's own first, then those that it has in common with others. */
type Wish = {
  readonly worker: number
  readonly id: number
  readonly limits: readonly Limit[]
  readonly since: number
}

/** Whom nothing was lent is given another's, even where that has no more than one, after this. */
const STARVING_MS = 200
/** A worker that was asked for connections needs a while to end them. */
const RECALL_EVERY_MS = 50

/**
 * Lends the server connections that a node may have to its workers. Invariant: never more than a limit allows, all workers
 * together. Who has least of a pool is served first; a worker that has more than its share gives back when others want, and each
 * gives back what it does not use.
 */
export class ConnectionLender {
  readonly #counts: SharedCounts
  readonly #borrowers: Borrowers
  #wishes: Wish[] = []
  readonly #recalledAt = new Map<string, number>()

  constructor(counts: SharedCounts, borrowers: Borrowers) {
    this.#counts = counts
    this.#borrowers = borrowers
  }

  get isWanted(): boolean {
    return this.#wishes.length > 0
  }

  wish(wish: Wish, now: number): void {
    this.#wishes.push(wish)
    this.settle(now)
  }

  /** False when it was lent already, or never wished for. */
  withdraw(worker: number, id: number): boolean {
    const before = this.#wishes.length
    this.#wishes = this.#wishes.filter((wish) => wish.worker !== worker || wish.id !== id)
    return this.#wishes.length < before
  }

  giveBack(worker: number, limits: readonly Pick<Limit, 'name'>[], now: number): void {
    this.#counts.give(worker, limits)
    this.settle(now)
  }

  /** Order: after the counts have forgotten it. */
  forget(worker: number, now: number): void {
    this.#wishes = this.#wishes.filter((wish) => wish.worker !== worker)
    this.settle(now)
  }

  /** Lends what is free, and asks for what is wanted; to be called again from time to time while something is wanted. */
  settle(now: number): void {
    for (let lent = this.#lendOne(); lent; lent = this.#lendOne());
    if (this.#wishes.length === 0) return this.#recalledAt.clear()
    const asked = new Set<string>()
    // Order: who has least asks first, since a holder is asked once in a while only.
    for (const wish of this.#inOrder()) {
      const full = wish.limits.find(({ name, max }) => max > 0 && this.#counts.total(name) >= max)
      if (!full || asked.has(`${wish.worker} ${full.name}`)) continue
      asked.add(`${wish.worker} ${full.name}`)
      this.#recall(wish, full.name, now)
    }
  }

  #lendOne(): boolean {
    for (const wish of this.#inOrder()) {
      if (this.#counts.take(wish.worker, wish.limits)) continue
      this.#wishes.splice(this.#wishes.indexOf(wish), 1)
      this.#borrowers.lend(wish.worker, wish.id)
      return true
    }
    return false
  }

  /** Who has least of a pool comes first. */
  #inOrder(): readonly Wish[] {
    const has = ({ worker, limits }: Wish): number => this.#counts.of(worker, limits[0]?.name ?? '')
    return this.#wishes.toSorted((one, other) => has(one) - has(other) || one.since - other.since)
  }

  #recall(wish: Wish, limit: string, now: number): void {
    const wished = this.#wishes.filter(({ worker, limits }) => {
      return worker === wish.worker && limits.some(({ name }) => name === limit)
    }).length
    const holders = this.#counts.holders(limit)
    const own = holders.get(wish.worker) ?? 0
    const sharers = new Set([...holders.keys(), ...this.#whoWants(limit)])
    const fair = Math.floor(this.#counts.total(limit) / sharers.size)
    const isStarving = own === 0 && now - wish.since >= STARVING_MS
    for (const [worker, count] of holders) {
      if (worker === wish.worker) continue
      // Order: nobody is brought below its share, but where there are fewer connections than workers: there they go round.
      const surplus = count > own + 1 ? Math.min(wished, count - fair) : 0
      const most = count - Math.max(surplus, isStarving ? 1 : 0)
      if (!this.#mayRecall(`${worker} ${limit} ${most < count ? 'used' : 'idle'}`, now)) continue
      this.#borrowers.recall(worker, { limit, most, idle: wished })
      // One that goes round is asked of one worker.
      if (isStarving && surplus <= 0) return
    }
  }

  #whoWants(limit: string): readonly number[] {
    return this.#wishes
      .filter(({ limits }) => limits.some(({ name }) => name === limit))
      .map((wish) => wish.worker)
  }

  #mayRecall(key: string, now: number): boolean {
    if (now - (this.#recalledAt.get(key) ?? Number.NEGATIVE_INFINITY) < RECALL_EVERY_MS) return false
    this.#recalledAt.set(key, now)
    return true
  }
}
