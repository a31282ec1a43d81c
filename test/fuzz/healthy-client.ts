import pg from 'pg'
import { APP } from '../support/pooled-router.ts'

/** How long a statement or a new connection may take while others do their worst. */
const SERVED_WITHIN_MS = 10_000
const EVERY_MS = 10
const STATEMENTS_PER_SESSION = 25

/** A client that does nothing wrong: it is served all the time, on all ports, also when it comes anew. */
export class HealthyClient {
  readonly problems: string[] = []
  statements = 0
  longestMs = 0
  readonly #ports: readonly number[]
  #isStopping = false
  #done: Promise<unknown> = Promise.resolve()

  constructor(ports: readonly number[]) {
    this.#ports = ports
  }

  start(): void {
    this.#done = Promise.all(this.#ports.map((port) => this.#goOn(port)))
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    await this.#done
  }

  async #goOn(port: number): Promise<void> {
    while (!this.#isStopping) {
      const client = new pg.Client({ ...APP, port })
      const begun = performance.now()
      client.on('error', () => {})
      try {
        await this.#timed(`connecting to ${port}`, client.connect())
        for (let turn = 0; turn < STATEMENTS_PER_SESSION && !this.#isStopping; turn += 1) {
          const asked = client.query('select $1::int as n', [turn])
          const { rows } = await this.#timed(`a statement on ${port}`, asked)
          if (rows[0]?.n !== turn) this.problems.push(`${port} answered ${JSON.stringify(rows)} to ${turn}`)
          this.statements += 1
          await new Promise((resolve) => setTimeout(resolve, EVERY_MS))
        }
      } catch (error) {
        const since = Math.round(performance.now() - begun)
        this.problems.push(
          `${port}, ${since} ms after it began to connect: ${error instanceof Error ? error.message : String(error)}`,
        )
        this.#isStopping = true
      }
      await client.end().catch(() => {})
    }
  }

  async #timed<T>(what: string, action: Promise<T>): Promise<T> {
    const begun = performance.now()
    const value = await action
    const tookMs = performance.now() - begun
    this.longestMs = Math.max(this.longestMs, tookMs)
    if (tookMs > SERVED_WITHIN_MS) this.problems.push(`${what} took ${Math.round(tookMs)} ms`)
    return value
  }
}
