import { HOUR } from '../std/units.ts'
import { PROBE_PREFIX } from './lost-transactions.ts'
import { SqlSession, type SqlTarget } from './sql-session.ts'

export type CommitTryOutcome = 'committed' | 'no-slot' | 'no-room' | 'refused'

/**
 * A backend that waits for a disk does not hear that its client is gone: each connection that is given up takes one of the few reserved
 * slots, for as long as the disk stalls.
 */
const GIVE_UP_MS = HOUR

/**
 * One small commit after the other, on a connection kept for it: what a client's commit needs, but for the standbys. A logical message
 * leaves no row and no bloat behind, and nothing to vacuum; it is transactional because only a commit that has a transaction id is
 * flushed (`RecordTransactionCommit`), which costs an id for each.
 */
export class CommitProbe {
  readonly #session: SqlSession
  #running: Promise<CommitTryOutcome> | undefined

  constructor(target: () => SqlTarget) {
    // Its sessions commit locally: a standby that stalls must not convict its primary.
    this.#session = new SqlSession({ target, name: 'pg-metako probe' })
  }

  /** `anew`: the connection is made anew, as a client's would be. One at a time: whoever asks meanwhile hears of the one that runs. */
  try({ anew }: { anew: boolean }): Promise<CommitTryOutcome> {
    if (this.#running) return this.#running
    if (anew) this.#session.close()
    const running = this.#commit().finally(() => {
      if (this.#running === running) this.#running = undefined
    })
    this.#running = running
    return running
  }

  /** What runs comes back at once. */
  close(): void {
    this.#running = undefined
    this.#session.close()
  }

  async #commit(): Promise<CommitTryOutcome> {
    try {
      const text = `select pg_logical_emit_message(true, '${PROBE_PREFIX}', 'path')`
      await this.#session.query({ text }, GIVE_UP_MS)
      return 'committed'
    } catch (error) {
      return outcomeOf(error)
    }
  }
}

/** By SQLSTATE, of PostgreSQL's own error or of what lies behind one of ours. */
function outcomeOf(error: unknown): CommitTryOutcome {
  const { code, cause } = error as { code?: string; cause?: { code?: string } }
  const states = [code, cause?.code]
  if (states.includes('53300')) return 'no-slot'
  return states.includes('53100') ? 'no-room' : 'refused'
}
