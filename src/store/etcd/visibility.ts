import type { KeyValue } from '../../model/key-value.ts'
import type { TimeLimit, Timing } from './time-limit.ts'

/** Something that the mirror must show before a request is over. */
export type Sight = {
  /** Everything up to here is certainly enough. */
  readonly revision: number
  /** Enough as well: each of these keys as it was (0: absent), or as it was made later. */
  readonly held?: readonly { readonly key: string; readonly modRevision: number }[]
}

type Waiting = { readonly isSeen: () => boolean; readonly resolve: () => void }

/**
 * Requests that have their answer and wait for the mirror to show it. etcd's revision also counts changes outside of our
 * prefix, which the watch never tells: so a request that changed nothing waits for what its keys held, not for a number.
 */
export class Visibility {
  readonly #tree: { readonly revision: number; get(key: string): KeyValue | undefined }
  readonly #timing: Timing
  readonly #onLag: () => void
  readonly #lagMs: number
  readonly #waiting = new Set<Waiting>()

  constructor(
    deps: {
      readonly tree: { readonly revision: number; get(key: string): KeyValue | undefined }
      readonly timing: Timing
      /** The watch did not bring in time what certainly is there. */
      readonly onLag: () => void
    },
    options: { readonly lagMs: number },
  ) {
    this.#tree = deps.tree
    this.#timing = deps.timing
    this.#onLag = deps.onLag
    this.#lagMs = options.lagMs
  }

  /** True once the mirror shows it; false when the limit came first. */
  async waitFor(sight: Sight, limit: TimeLimit): Promise<boolean> {
    const isSeen = (): boolean => this.#shows(sight)
    if (isSeen()) return true
    return new Promise((resolve) => {
      const finish = (wasSeen: boolean): void => {
        this.#waiting.delete(waiting)
        cancelLag()
        limit.signal.removeEventListener('abort', giveUp)
        resolve(wasSeen)
      }
      const giveUp = (): void => finish(isSeen())
      const waiting: Waiting = { isSeen, resolve: () => finish(true) }
      const cancelLag = this.#timing.after(this.#lagMs, this.#onLag)
      this.#waiting.add(waiting)
      if (limit.signal.aborted) giveUp()
      else limit.signal.addEventListener('abort', giveUp, { once: true })
    })
  }

  /** To be called after the tree has changed. */
  changed(): void {
    for (const { isSeen, resolve } of this.#waiting) if (isSeen()) resolve()
  }

  #shows({ revision, held }: Sight): boolean {
    if (this.#tree.revision >= revision) return true
    if (held === undefined) return false
    return held.every(({ key, modRevision }) => {
      const known = this.#tree.get(key)?.modRevision ?? 0
      return modRevision === 0 ? known === 0 : known >= modRevision
    })
  }
}
