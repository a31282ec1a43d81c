import type { TransferRefusal } from '../../raft/effect.ts'
import type { RaftState } from '../../raft/state.ts'

export type TransferOutcome =
  | { readonly kind: 'done' }
  | {
      readonly kind: 'refused'
      readonly reason: TransferRefusal | 'OTHER_LEADER' | 'TOO_LATE' | 'STOPPED'
    }

/** One leadership transfer at a time, from the wish to the successor's first word. */
export class Transfers {
  readonly #request: (to: string) => void
  readonly #state: () => RaftState
  readonly #after: (ms: number, task: () => void) => () => void
  #running: { readonly to: string; readonly finish: (outcome: TransferOutcome) => void } | undefined

  constructor(deps: {
    readonly request: (to: string) => void
    readonly state: () => RaftState
    readonly after: (ms: number, task: () => void) => () => void
  }) {
    this.#request = deps.request
    this.#state = deps.state
    this.#after = deps.after
  }

  start(to: string, options: { readonly limitMs: number }): Promise<TransferOutcome> {
    if (this.#state().role !== 'leader') return Promise.resolve({ kind: 'refused', reason: 'NOT_LEADER' })
    if (this.#running !== undefined) return Promise.resolve({ kind: 'refused', reason: 'TRANSFERRING' })
    return new Promise((resolve) => {
      const cancelLimit = this.#after(options.limitMs, () =>
        this.#finish({ kind: 'refused', reason: 'TOO_LATE' }),
      )
      const finish = (outcome: TransferOutcome): void => {
        cancelLimit()
        resolve(outcome)
      }
      this.#running = { to, finish }
      this.#request(to)
    })
  }

  refused(reason: TransferRefusal): void {
    this.#finish({ kind: 'refused', reason })
  }

  changed({ leader, self }: RaftState): void {
    if (this.#running === undefined || leader === undefined || leader === self) return
    this.#finish(leader === this.#running.to ? { kind: 'done' } : { kind: 'refused', reason: 'OTHER_LEADER' })
  }

  end(): void {
    this.#finish({ kind: 'refused', reason: 'STOPPED' })
  }

  #finish(outcome: TransferOutcome): void {
    const running = this.#running
    this.#running = undefined
    running?.finish(outcome)
  }
}
