import type { Backend } from './backend.ts'
import type { WalSender } from './wal-sender.ts'

export type SyncMode = 'write' | 'flush' | 'apply'

const MODES: readonly SyncMode[] = ['write', 'flush', 'apply']

/**
 * Commits that wait for standbys (syncrep.c). Who counts is known in three places that learn of a change each for itself: the flag in
 * shared memory, which the checkpointer sets; the names and numbers in each walsender; the configuration file.
 */
export class SyncRep {
  /** In shared memory: whether commits wait at all. Only the checkpointer changes it (safety.md M7). */
  isDefined: boolean
  readonly #queues: Record<SyncMode, Backend[]> = { write: [], flush: [], apply: [] }
  readonly #released: Record<SyncMode, number> = { write: 0, flush: 0, apply: 0 }
  readonly #senders: readonly WalSender[]

  constructor(senders: readonly WalSender[], isDefined: boolean) {
    this.#senders = senders
    this.isDefined = isDefined
  }

  get hasWaiters(): boolean {
    return MODES.some((mode) => this.#queues[mode].length > 0)
  }

  get waiters(): number {
    return MODES.reduce((sum, mode) => sum + this.#queues[mode].length, 0)
  }

  /** True when the commit has to wait: then `released` of the backend follows, or it cancels. */
  enqueue(backend: Backend, mode: SyncMode): boolean {
    if (!this.isDefined || backend.commitLsn <= this.#released[mode]) return false
    const queue = this.#queues[mode]
    let at = queue.length
    while (at > 0 && (queue[at - 1] as Backend).commitLsn > backend.commitLsn) at -= 1
    queue.splice(at, 0, backend)
    return true
  }

  leave(backend: Backend): void {
    for (const mode of MODES) {
      const at = this.#queues[mode].indexOf(backend)
      if (at >= 0) this.#queues[mode].splice(at, 1)
    }
  }

  /** What a walsender does after each reply, with the names that it knows itself. */
  releaseFor(sender: WalSender): void {
    const { names } = sender
    if (names === undefined || sender.priority === 0 || !counts(sender) || !this.hasWaiters) return
    let candidates = this.#senders.filter((one) => one.priority > 0 && counts(one))
    if (names.method === 'first') {
      candidates = candidates.sort((one, other) => one.priority - other.priority).slice(0, names.count)
    }
    if (candidates.length < names.count || !candidates.includes(sender)) return
    // FIRST: all of the chosen ones have it; ANY: as many as are wanted have it.
    const place = names.method === 'first' ? candidates.length - 1 : names.count - 1
    this.#release(
      'write',
      nthHighest(
        candidates.map((one) => one.writeLsn),
        place,
      ),
    )
    this.#release(
      'flush',
      nthHighest(
        candidates.map((one) => one.flushLsn),
        place,
      ),
    )
    this.#release(
      'apply',
      nthHighest(
        candidates.map((one) => one.applyLsn),
        place,
      ),
    )
  }

  /** The checkpointer has read the configuration. An empty list wakes everybody as if all had been acknowledged. */
  define(isDefined: boolean): void {
    const wakes = this.isDefined && !isDefined
    this.isDefined = isDefined
    if (!wakes) return
    for (const mode of MODES) {
      const waiting = this.#queues[mode].splice(0)
      for (const backend of waiting) backend.released()
    }
  }

  #release(mode: SyncMode, lsn: number): void {
    if (lsn <= this.#released[mode]) return
    this.#released[mode] = lsn
    const queue = this.#queues[mode]
    let count = 0
    while (count < queue.length && (queue[count] as Backend).commitLsn <= lsn) count += 1
    if (count === 0) return
    for (const backend of queue.splice(0, count)) backend.released()
  }
}

function counts(sender: WalSender): boolean {
  return (sender.state === 'streaming' || sender.state === 'stopping') && sender.flushLsn > 0
}

function nthHighest(lsns: number[], place: number): number {
  return lsns.sort((one, other) => other - one)[place] as number
}
