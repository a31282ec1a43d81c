import type { CancelOrder } from '../../model/cancel-order.ts'
import { after } from '../../platform/timers.ts'

/** Cancel requests that an agent may be asked about at once: anybody can send one. */
const CANCELS_MAX = 64
/** Longer than the agents take. */
const ANSWER_WITHIN_MS = 7000

/** Cancel requests that other nodes are asked about; each ends, whatever becomes of the agent. */
export class PendingCancels {
  readonly #pending = new Map<number, () => void>()
  #lastId = 0

  ask(order: CancelOrder, say: ((message: object) => void) | undefined, done: () => void): void {
    if (!say || this.#pending.size >= CANCELS_MAX) return done()
    this.#lastId += 1
    const id = this.#lastId
    const end = (): void => {
      stopTimer()
      if (this.#pending.delete(id)) done()
    }
    const stopTimer = after(ANSWER_WITHIN_MS, end)
    this.#pending.set(id, end)
    say({ kind: 'cancel', id, processId: order.processId, secret: order.secret })
  }

  answered(id: number): void {
    this.#pending.get(id)?.()
  }

  /** The agent has gone. */
  endAll(): void {
    for (const end of this.#pending.values()) end()
  }
}
