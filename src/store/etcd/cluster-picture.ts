import type { Endpoint } from './endpoints.ts'
import type { Gateway } from './gateway.ts'
import { readMembers, readStatus } from './messages.ts'
import { startTimeLimit, type Timing } from './time-limit.ts'

/** Who leads etcd, and who votes there: for people only, nothing is decided on it. Asked for again when the term changes. */
export class ClusterPicture {
  readonly #gateway: Gateway
  readonly #timing: Timing
  readonly #onChange: () => void
  readonly #attemptMs: number
  readonly #stopped: AbortSignal
  #members: ReadonlyMap<string, string> = new Map()
  #leader = ''
  #term = 0
  #isAsking = false

  constructor(
    deps: { gateway: Gateway; timing: Timing; stopped: AbortSignal; onChange: () => void },
    options: { readonly attemptMs: number },
  ) {
    this.#gateway = deps.gateway
    this.#timing = deps.timing
    this.#stopped = deps.stopped
    this.#onChange = deps.onChange
    this.#attemptMs = options.attemptMs
  }

  get leader(): string | undefined {
    return this.#members.get(this.#leader)
  }

  get voters(): readonly string[] {
    return [...this.#members.values()].toSorted()
  }

  get term(): number {
    return this.#term
  }

  /** An answer came from `endpoint` in `term`. */
  seen(term: number, endpoint: Endpoint): void {
    if (this.#isAsking || (term === this.#term && this.leader !== undefined)) return
    this.#isAsking = true
    void this.#ask(endpoint).finally(() => {
      this.#isAsking = false
    })
  }

  async #ask(endpoint: Endpoint): Promise<void> {
    const limit = startTimeLimit(this.#attemptMs, this.#timing, this.#stopped)
    const call = (path: string) => this.#gateway.call(endpoint, { path, body: '{}' }, limit.signal)
    try {
      const { leader, term } = readStatus(await call('/v3/maintenance/status'))
      const members = readMembers(await call('/v3/cluster/member/list'))
      if (term < this.#term) return
      this.#leader = leader
      this.#term = term
      this.#members = members
      this.#onChange()
    } catch {
      // The next answer asks again.
    } finally {
      limit.clear()
    }
  }
}
