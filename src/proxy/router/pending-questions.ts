import { after } from '../../platform/timers.ts'

/** Questions to the agent that may be under way: anybody can send a cancel request, which makes one. */
const QUESTIONS_MAX = 64
/** Longer than the agents take. */
const ANSWER_WITHIN_MS = 7000

/** What the agent is asked; each question ends, whatever becomes of the agent. */
export class PendingQuestions {
  readonly #pending = new Map<number, (answer: unknown) => void>()
  #lastId = 0

  /** `done` gets no answer where there is none, or no agent. */
  ask(
    question: object,
    say: ((message: object) => void) | undefined,
    done: (answer?: unknown) => void,
  ): void {
    if (!say || this.#pending.size >= QUESTIONS_MAX) return done()
    this.#lastId += 1
    const id = this.#lastId
    const end = (answer: unknown): void => {
      stopTimer()
      if (this.#pending.delete(id)) done(answer)
    }
    const stopTimer = after(ANSWER_WITHIN_MS, () => end(undefined))
    this.#pending.set(id, end)
    say({ ...question, id })
  }

  answered(id: number, answer: unknown): void {
    this.#pending.get(id)?.(answer)
  }

  /** The agent has gone. */
  endAll(): void {
    for (const end of this.#pending.values()) end(undefined)
  }
}
