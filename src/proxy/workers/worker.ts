import { adoptLean, type Socket } from '../../platform/net.ts'
import type { ParentLine } from '../../platform/worker-process.ts'
import { after, every } from '../../platform/timers.ts'
import type { PortName } from '../port-counters.ts'
import { startRouter, type RouterDeps, type RouterOptions, type RunningRouter } from '../router-process.ts'
import type { Crew, CrewMember, CrewRequest } from './crew.ts'
import type { Limit } from './shared-counts.ts'
import type { FromWorker, ToWorker } from './worker-messages.ts'

/** How often the supervisor hears that this worker is well, and how many of its clients have left. */
const ALIVE_EVERY_MS = 250
/** Questions to all workers that may be under way: whoever asks for a cancel makes one. */
const QUESTIONS_MAX = 256
/** Who is told so late that it may begin has no supervisor. */
const BEGIN_WITHIN_MS = 10_000

/**
 * One of several workers of a router: the router of one process, but for its ports, which the supervisor has, and its limits, which
 * are counted for the whole node. Its tables come from the agent itself, so its right to send to the primary is proven as in one
 * process. It ends when the supervisor has ended.
 */
export async function startWorker(
  options: RouterOptions,
  deps: RouterDeps,
  line: ParentLine,
): Promise<RunningRouter> {
  const crew = new CrewLine(line)
  line.onCut(deps.onStop)
  const { place, ports } = await crew.begun
  const log = deps.log.with({ worker: place })
  const router = await startRouter(options, {
    ...deps,
    log,
    seat: { crew, ports, join: (member, take) => crew.join(member, take) },
  })
  crew.onStop = deps.onStop
  crew.onRetire = (withinMs) => void router.retire(withinMs).then(() => deps.onRetired?.())
  crew.ready()
  return {
    ...router,
    stop: () => {
      crew.stop()
      return router.stop()
    },
  }
}

type Begin = Extract<ToWorker, { kind: 'begin' }>

/** A worker's end of the line to the supervisor. */
class CrewLine implements Crew {
  place = 0
  size = 1
  readonly begun: Promise<Begin>
  onStop: () => void = () => {}
  onRetire: (withinMs: number) => void = () => {}
  readonly #line: ParentLine
  readonly #entering = new Map<number, (full: Limit | undefined) => void>()
  readonly #wishes = new Map<number, { readonly limits: readonly Limit[]; readonly lent: () => void }>()
  readonly #questions = new Map<number, (answers: readonly unknown[], missing: number) => void>()
  #begin: (begin: Begin) => void = () => {}
  #member: CrewMember | undefined
  #take: (port: PortName, socket: Socket) => void = (_port, socket) => void socket.destroy()
  #lastId = 0
  #ended = 0
  #stopAlive: () => void = () => {}

  constructor(line: ParentLine) {
    this.#line = line
    this.begun = new Promise((resolve, reject) => {
      const stopTimer = after(BEGIN_WITHIN_MS, () => reject(new Error('Not told to begin')))
      this.#begin = (begin) => {
        stopTimer()
        this.place = begin.place
        this.size = begin.size
        resolve(begin)
      }
    })
    line.listen((message, handle) =>
      this.#hear(message as ToWorker, handle === undefined ? undefined : adoptLean(handle as Socket)),
    )
  }

  join(member: CrewMember, take: (port: PortName, socket: Socket) => void): void {
    this.#member = member
    this.#take = take
  }

  ready(): void {
    this.#say({ kind: 'ready' })
    this.#stopAlive = every(ALIVE_EVERY_MS, () => {
      this.#say({ kind: 'alive', ended: this.#ended })
      this.#ended = 0
    })
  }

  stop(): void {
    this.#stopAlive()
  }

  enter(limits: readonly Limit[], answer: (full: Limit | undefined) => void): void {
    const id = this.#newId()
    this.#entering.set(id, answer)
    this.#say({ kind: 'enter', id, limits })
  }

  leave(limits: readonly Limit[]): void {
    this.#say({ kind: 'leave', limits })
  }

  borrow(limits: readonly Limit[], lent: () => void): () => void {
    const id = this.#newId()
    this.#wishes.set(id, { limits, lent })
    this.#say({ kind: 'wish', id, limits })
    return () => {
      // Order: one that was lent meanwhile is taken back by this, so its own message means nothing any more.
      if (this.#wishes.delete(id)) this.#say({ kind: 'withdraw', id, limits })
    }
  }

  giveBack(limits: readonly Limit[]): void {
    this.#say({ kind: 'give-back', limits })
  }

  askAll(request: CrewRequest, done: (answers: readonly unknown[], missing: number) => void): void {
    if (this.#questions.size >= QUESTIONS_MAX) return done([], this.size)
    const id = this.#newId()
    this.#questions.set(id, done)
    this.#say({ kind: 'ask', id, request })
  }

  #hear(message: ToWorker, socket: Socket | undefined): void {
    switch (message.kind) {
      case 'begin':
        return this.#begin(message)
      case 'client':
        this.#say({ kind: 'received', id: message.id })
        // Its sender may have closed it: a process that ends at this moment.
        if (socket) this.#receive(message.port, socket)
        else this.#ended += 1
        return
      case 'entered': {
        const answer = this.#entering.get(message.id)
        this.#entering.delete(message.id)
        return answer?.(message.full)
      }
      case 'lent': {
        const wish = this.#wishes.get(message.id)
        this.#wishes.delete(message.id)
        return wish?.lent()
      }
      case 'recall':
        return this.#member?.recall(message.recall)
      case 'asked':
        return this.#member?.answer(message.request, (answer) =>
          this.#say({ kind: 'answer', id: message.id, answer: answer ?? null }),
        )
      case 'answers': {
        const done = this.#questions.get(message.id)
        this.#questions.delete(message.id)
        return done?.(message.answers, message.missing)
      }
      case 'stop':
        return this.onStop()
      case 'retire':
        return this.onRetire(message.withinMs)
    }
  }

  #receive(port: PortName, socket: Socket): void {
    socket.once('close', () => (this.#ended += 1))
    this.#take(port, socket)
  }

  #say(message: FromWorker): void {
    this.#line.send(message)
  }

  #newId(): number {
    this.#lastId += 1
    return this.#lastId
  }
}
