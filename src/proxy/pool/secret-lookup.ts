import type { Pool } from './pool.ts'
import { ServerQuestion, type Answer } from './server-question.ts'

export type LookupOutcome =
  /** `secret` is null where the role has no password, or none that is valid now. */
  | { readonly kind: 'found'; readonly secret: string | null }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'failed'; readonly reason: string }

export type FindSecret = (user: string, answer: (outcome: LookupOutcome) => void) => void

type Wanted = { readonly user: string; readonly answers: ((outcome: LookupOutcome) => void)[] }

/**
 * Asks PostgreSQL for users' secrets (`auth_query`), as a client of a pool of its own: one question at a time, the same one
 * asked once for all who wait for it.
 */
export class SecretLookup {
  readonly #pool: Pool
  readonly #query: string
  readonly #now: () => number
  readonly #wanted: Wanted[] = []
  #asked: ServerQuestion | undefined

  constructor(pool: Pool, query: string, now: () => number) {
    this.#pool = pool
    this.#query = query
    this.#now = now
  }

  find(user: string, answer: (outcome: LookupOutcome) => void): void {
    // The one that is being asked may have been answered in PostgreSQL before this client came.
    const isSent = this.#asked?.isSent ?? false
    const same = this.#wanted.find((each, index) => each.user === user && (index > 0 || !isSent))
    if (same) {
      same.answers.push(answer)
      return
    }
    this.#wanted.push({ user, answers: [answer] })
    this.#next()
  }

  #next(): void {
    const [wanted] = this.#wanted
    if (this.#asked || !wanted) return
    const question = { text: this.#query, parameter: wanted.user, now: this.#now() }
    this.#asked = new ServerQuestion(this.#pool, question, (answer) => this.#answered(answer))
    this.#asked.ask()
  }

  #answered(answer: Answer): void {
    this.#asked = undefined
    // Nobody knows the answer: a table changed, or PostgreSQL went away. It is a read, so it is asked again.
    if (answer.kind === 'lost') return this.#next()
    const outcome = outcomeOf(answer)
    for (const tell of this.#wanted.shift()?.answers ?? []) tell(outcome)
    this.#next()
  }
}

function outcomeOf(answer: Exclude<Answer, { kind: 'lost' }>): LookupOutcome {
  if (answer.kind === 'refused') return { kind: 'failed', reason: answer.reason }
  const row = answer.rows.at(-1)
  return row === undefined ? { kind: 'unknown' } : { kind: 'found', secret: row[1] ?? null }
}
