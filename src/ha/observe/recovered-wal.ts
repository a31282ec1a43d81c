import { countWith, rulesOf, type AckLink } from '../../model/ack-rule.ts'
import { parseLsn, type Lsn } from '../../model/lsn.ts'
import type { InstanceFacts } from '../../model/member.ts'

/**
 * What a primary recovered when it came up again in its epoch. It shows commits that were waiting for standbys when it went down as if
 * they had been acknowledged; whoever reads them sees them vanish when another member takes over. So it stays closed until as many
 * members as its rules ask for have all of it.
 */
export class RecoveredWal {
  #state: 'none' | 'unmeasured' | Lsn = 'none'

  get isPending(): boolean {
    return this.#state !== 'none'
  }

  /** The instance is up as a primary that may hold more than others do. */
  begin(): void {
    this.#state = 'unmeasured'
  }

  /** `link`: how commits of its epoch are acknowledged; absent where they wait for nobody. */
  look({ state, role, flushLsn = '', walSenders = [] }: InstanceFacts, link: AckLink | undefined): void {
    if (this.#state === 'none' || state !== 'running') return
    if (role !== 'primary' || link === undefined) {
      this.#state = 'none'
      return
    }
    const goal = this.#state === 'unmeasured' ? parseLsn(flushLsn) : this.#state
    if (goal === undefined) return
    const isShared = rulesOf(link).every((rule) => countWith(rule, walSenders, goal) >= rule.k)
    this.#state = isShared ? 'none' : goal
  }
}
