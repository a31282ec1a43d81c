import type { Timing } from './time-limit.ts'

/**
 * Does a majority of etcd answer us? Every linearizable answer proves it. Without one for `everyMs`, or when something has
 * just gone wrong, a probe asks; only a probe that got nowhere at any endpoint says no.
 */
export class Pulse {
  readonly #probe: () => Promise<void>
  readonly #onChange: () => void
  readonly #timing: Timing
  readonly #everyMs: number
  #isUp = false
  #isProbing = false
  #isStopped = false
  #provedAt = Number.NEGATIVE_INFINITY
  #cancel: () => void = () => {}

  constructor(
    deps: {
      /** One round over all endpoints; rejects when none of them has a quorum. */
      readonly probe: () => Promise<void>
      readonly onChange: () => void
      readonly timing: Timing
    },
    options: { readonly everyMs: number },
  ) {
    this.#probe = deps.probe
    this.#onChange = deps.onChange
    this.#timing = deps.timing
    this.#everyMs = options.everyMs
  }

  get isUp(): boolean {
    return this.#isUp
  }

  start(): void {
    this.#arm(this.#everyMs)
  }

  stop(): void {
    this.#isStopped = true
    this.#cancel()
  }

  proved(): void {
    this.#provedAt = this.#timing.now()
    this.#set(true)
  }

  /** Something failed: ask now. */
  check(): void {
    if (this.#isProbing || this.#isStopped) return
    this.#isProbing = true
    this.#cancel()
    const begun = this.#timing.now()
    this.#probe().then(
      () => this.#probed(() => this.proved()),
      // A proof that came meanwhile is newer than this failure.
      () => this.#probed(() => this.#provedAt < begun && this.#set(false)),
    )
  }

  #probed(conclude: () => void): void {
    this.#isProbing = false
    if (this.#isStopped) return
    conclude()
    this.#arm(this.#everyMs)
  }

  #arm(ms: number): void {
    this.#cancel = this.#timing.after(ms, () => {
      const quietMs = this.#timing.now() - this.#provedAt
      if (this.#isUp && quietMs < this.#everyMs) this.#arm(this.#everyMs - quietMs)
      else this.check()
    })
  }

  #set(isUp: boolean): void {
    if (this.#isUp === isUp || this.#isStopped) return
    this.#isUp = isUp
    this.#onChange()
  }
}
