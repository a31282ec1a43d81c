import { hinted } from '../../sql/hint.ts'
import type { SessionEffect } from '../../sql/session-effect.ts'
import type { Verdict } from '../../sql/verdict.ts'

/**
 * What a session did that its reads hang on: it left something in a backend of the primary, or made a setting that the router does
 * not carry from one server connection to the next. Its reads stay on the primary then, as without a split. What was done within a
 * transaction is not seen here.
 */
export class SessionTraits {
  #isBound = false
  #wanted: 'primary' | 'replica' | 'auto' = 'auto'

  /** Outside of a transaction: what is sent there either works or leaves nothing. */
  follow(effects: readonly SessionEffect[], isCarried: (setting: string) => boolean): void {
    for (const effect of effects) {
      if (effect.kind === 'pin') this.#isBound = true
      else if (effect.kind === 'set') this.#isBound ||= !effect.local && !isCarried(effect.name)
      else if (effect.kind === 'unpin' && effect.cause === 'all') this.#isBound = false
      else if (effect.kind === 'route') this.#wanted = effect.to ?? this.#wanted
    }
  }

  /** The verdict on a statement of this session. */
  judge(verdict: Verdict): Verdict {
    if (this.#isBound || this.#wanted === 'primary') return hinted(verdict, 'primary')
    return this.#wanted === 'replica' ? hinted(verdict, 'replica') : verdict
  }
}
