import { after } from '../../platform/timers.ts'
import { SECOND } from '../../std/units.ts'
import type { ConsoleOrder } from '../pool/console/pool-console.ts'
import type { CrewRequest } from './crew.ts'
import type { ToWorker } from './worker-messages.ts'

type Reload = Extract<CrewRequest, { kind: 'reload' }>

type Question = {
  readonly request: CrewRequest
  readonly waitsFor: Set<number>
  readonly answers: unknown[]
  readonly finish: () => void
}

/** Longer than a cancel request may take. */
const ANSWER_WITHIN_MS = 6 * SECOND
/** To these nobody listens. */
const CATCH_UP = 0

/**
 * What is asked of all workers, and the orders of people that still count: a worker that begins later has to know that a database
 * is paused or disabled.
 */
export class CrewQuestions {
  readonly #say: (worker: number, message: ToWorker) => void
  readonly #questions = new Map<number, Question>()
  readonly #standing = new Map<string, ConsoleOrder>()
  /** The settings that count, where they are others than those that a worker begins with. */
  #settings: Reload | undefined
  #lastId = CATCH_UP

  constructor(say: (worker: number, message: ToWorker) => void) {
    this.#say = say
  }

  /** `done` follows when all have answered, have ended, or the time is over; `missing`: so many said nothing. */
  ask(
    request: CrewRequest,
    workers: readonly number[],
    done: (answers: readonly unknown[], missing: number) => void,
  ): void {
    if (request.kind === 'reload' && request.pool) this.#settings = request
    this.#lastId += 1
    const id = this.#lastId
    const question: Question = {
      request,
      waitsFor: new Set(workers),
      answers: [],
      finish: () => {
        stopTimer()
        if (!this.#questions.delete(id)) return
        if (request.kind === 'order') this.#keep(request, question.answers)
        done(question.answers, question.waitsFor.size)
      },
    }
    const stopTimer = after(ANSWER_WITHIN_MS, question.finish)
    this.#questions.set(id, question)
    for (const worker of workers) this.#say(worker, { kind: 'asked', id, request })
    if (workers.length === 0) question.finish()
  }

  answered(worker: number, id: number, answer: unknown): void {
    const question = this.#questions.get(id)
    if (!question?.waitsFor.delete(worker)) return
    question.answers.push(answer)
    if (question.waitsFor.size === 0) question.finish()
  }

  /** Whether all were told this already. */
  isStanding(settings: Reload): boolean {
    return JSON.stringify(settings) === JSON.stringify(this.#settings)
  }

  /** Of one that has ended nothing is waited for. */
  forget(worker: number): void {
    for (const question of this.#questions.values()) {
      question.waitsFor.delete(worker)
      if (question.waitsFor.size === 0) question.finish()
    }
  }

  /** Tells a worker that has just begun what the others were told before. */
  catchUp(worker: number): void {
    const standing = [...(this.#settings ? [this.#settings] : []), ...this.#standing.values()]
    for (const request of standing) this.#say(worker, { kind: 'asked', id: CATCH_UP, request })
    for (const [id, { request, waitsFor }] of this.#questions) {
      if (request.kind !== 'order') continue
      waitsFor.add(worker)
      this.#say(worker, { kind: 'asked', id, request })
    }
  }

  #keep(order: ConsoleOrder, answers: readonly unknown[]): void {
    if (!answers.includes(null)) return
    const { command, database = '' } = order
    const paused = JSON.stringify(['PAUSE', database])
    const disabled = JSON.stringify(['DISABLE', database])
    switch (command) {
      case 'PAUSE':
      case 'KILL':
        return void this.#standing.set(paused, { ...order, command: 'PAUSE' })
      case 'RESUME':
        return void this.#standing.delete(paused)
      case 'DISABLE':
        return void this.#standing.set(disabled, order)
      case 'ENABLE':
        return void this.#standing.delete(disabled)
      case 'RECONNECT':
      case 'WAIT_CLOSE':
        return
    }
  }
}
