import type { CancelOrder } from '../model/cancel-order.ts'
import { after } from '../platform/timers.ts'
import { SECOND } from '../std/units.ts'
import type { PeerWire } from './host-ports.ts'

export type CancelRelayDeps = {
  readonly link: Pick<PeerWire, 'send' | 'onFrame'>
  /** The other members. */
  readonly peers: () => readonly string[]
  /** Has the own router look; whether it knew the key. */
  readonly cancelHere: (order: CancelOrder) => Promise<boolean>
}

type Message = { readonly id: number } & (
  | { readonly kind: 'question'; readonly order: CancelOrder }
  | { readonly kind: 'answer'; readonly isKnown: boolean }
)
type Question = { readonly waitsFor: Set<string>; readonly done: () => void }

/** Anybody can send a request, and each is a question to every member. */
const QUESTIONS_MAX = 64
const ANSWER_WITHIN_MS = 6 * SECOND

/**
 * Cancel requests that came to the router of another node than the statement runs through, as behind an address that all nodes share: the
 * agents ask each other's routers. Nothing hangs on it, so nothing is sent twice.
 */
export class CancelRelay {
  readonly #deps: CancelRelayDeps
  readonly #questions = new Map<number, Question>()
  #lastId = 0

  constructor(deps: CancelRelayDeps) {
    this.#deps = deps
    deps.link.onFrame('cancel', (peer, payload) => this.#hear(peer, payload))
  }

  /** Resolves when another node has done it, when none knows the key, or when the time is over. */
  elsewhere(order: CancelOrder): Promise<void> {
    if (this.#questions.size >= QUESTIONS_MAX) return Promise.resolve()
    this.#lastId += 1
    const id = this.#lastId
    return new Promise((resolve) => {
      const done = (): void => {
        stopTimer()
        this.#questions.delete(id)
        resolve()
      }
      const stopTimer = after(ANSWER_WITHIN_MS, done)
      const asked = this.#deps.peers().filter((peer) => this.#say(peer, { kind: 'question', id, order }))
      this.#questions.set(id, { waitsFor: new Set(asked), done })
      if (asked.length === 0) done()
    })
  }

  #hear(peer: string, payload: Uint8Array): void {
    const message = parse(payload)
    if (message?.kind === 'question') {
      void this.#deps
        .cancelHere(message.order)
        .then((isKnown) => this.#say(peer, { kind: 'answer', id: message.id, isKnown }))
    } else if (message) {
      const question = this.#questions.get(message.id)
      if (!question?.waitsFor.delete(peer)) return
      if (message.isKnown || question.waitsFor.size === 0) question.done()
    }
  }

  #say(peer: string, message: Message): boolean {
    return this.#deps.link.send(peer, 'cancel', Buffer.from(JSON.stringify(message), 'utf8'))
  }
}

/** What members say to each other is proven to come from one; a later version may say more. */
function parse(payload: Uint8Array): Message | undefined {
  try {
    const message = JSON.parse(Buffer.from(payload).toString('utf8')) as Message
    return message.kind === 'question' || message.kind === 'answer' ? message : undefined
  } catch {
    return undefined
  }
}
