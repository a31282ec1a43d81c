import type { WatchEvent } from '../../../src/model/key-value.ts'
import { Violation } from './violation.ts'

const CHECKER = 'watch-without-gaps'

/** Every watcher sees every change once, in order, and all see the same. Only a watcher that is told so may miss some. */
export class WatchWithoutGaps {
  readonly #known = new Map<number, string>()
  readonly #last = new Map<string, number>()

  see(watcher: string, events: readonly WatchEvent[], revision: number, isCompacted: boolean): void {
    if (isCompacted) {
      this.#last.set(watcher, revision)
      return
    }
    for (const event of events) {
      const at = event.kind === 'put' ? event.entry.modRevision : event.modRevision
      const before = this.#last.get(watcher)
      if (before !== undefined && at !== before + 1)
        throw new Violation(`${watcher} saw ${at} after ${before}`, CHECKER)
      this.#last.set(watcher, at)
      const text = JSON.stringify(event)
      const known = this.#known.get(at)
      if (known !== undefined && known !== text)
        throw new Violation(`${watcher} saw another change at ${at}`, CHECKER)
      this.#known.set(at, text)
    }
    if (this.#last.get(watcher) !== revision)
      throw new Violation(`${watcher} was told revision ${revision}`, CHECKER)
  }
}
