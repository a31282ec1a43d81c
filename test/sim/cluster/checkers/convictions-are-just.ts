import { Violation } from '../../checkers/violation.ts'

const CHECKER = 'convictions-are-just'
/** From the end of a trouble to the end of the tries that it spoilt. */
const KNOWN_WITHIN_MS = 3000

/** What is true of a host's PostgreSQL and its disk at a moment. */
export type WritingTruth = {
  /** It stalls, stands still, is full, or no commit is in time on it. */
  readonly isInTrouble: boolean
  /** A standby that runs, on a disk that can be written, if slowly. */
  readonly isHeir: boolean
}

/**
 * G5 for a primary that ends itself because it cannot write (docs/adr/0021): it could not, and somebody else could. Who stood still itself
 * has seen nothing, and a cluster on one disk that stalls gains nothing by ending its primary.
 */
export class ConvictionsAreJust {
  readonly #troubles = new Map<string, { readonly since: number; until: number }>()
  readonly #wellAt = new Map<string, number>()

  /** What is true of a host now, at every decision of anybody. */
  note(name: string, { isInTrouble, isHeir }: WritingTruth, now: number): void {
    if (isHeir) this.#wellAt.set(name, now)
    if (!isInTrouble) return
    const trouble = this.#troubles.get(name)
    const isNew = trouble === undefined || trouble.until < now - KNOWN_WITHIN_MS
    if (isNew) this.#troubles.set(name, { since: now, until: now })
    else trouble.until = now
  }

  /** `name` is going to end its PostgreSQL. */
  see(name: string, now: number): void {
    const trouble = this.#troubles.get(name)
    if (trouble === undefined || now - trouble.until > KNOWN_WITHIN_MS) {
      throw new Violation(`${name} ended its PostgreSQL, which could write all the time`, CHECKER)
    }
    const heirs = [...this.#wellAt].filter(([other, at]) => other !== name && at >= trouble.since)
    if (heirs.length === 0) {
      throw new Violation(
        `${name} ended its PostgreSQL, and nobody else could write since it could not`,
        CHECKER,
      )
    }
  }
}
