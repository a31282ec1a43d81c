import type { Logger } from '../../platform/log.ts'
import type { CancelKey } from '../../wire/startup.ts'
import { orderOf } from './cancel-elsewhere.ts'
import type { Pooler } from '../pool/pooler.ts'
import type { Crew } from '../workers/crew.ts'
import type { CancelRegistry } from './cancel-registry.ts'

type CancelDeskParts = {
  readonly log: Logger
  readonly pooler: Pick<Pooler, 'cancel'> | undefined
  readonly registry: CancelRegistry
  readonly primaryOpen: () => boolean
  /** The other workers, and who had the ports before. */
  readonly crew: Crew | undefined
  readonly elsewhere: ((key: CancelKey, done: () => void) => void) | undefined
}

/** Finds who runs what a cancel request is about: a client comes with it on a connection of its own, which any process may get. */
export class CancelDesk {
  readonly #parts: CancelDeskParts

  constructor(parts: CancelDeskParts) {
    this.#parts = parts
  }

  /** `done` follows when the request has arrived, or when the key is none that is known in this process. */
  here(key: CancelKey, done: (isKnown: boolean) => void): void {
    const { log, pooler, registry, primaryOpen } = this.#parts
    if (pooler?.cancel(key, () => done(true))) return
    registry.forward(key, primaryOpen(), (result) => {
      log.debug('Cancel request', { result })
      done(result !== 'UNKNOWN_KEY')
    })
  }

  /** The same, wherever it is known. */
  anywhere(key: CancelKey, done: () => void): void {
    const { crew, elsewhere } = this.#parts
    this.here(key, (isKnown) => {
      if (isKnown) return done()
      if (elsewhere) return elsewhere(key, done)
      if (!crew) return done()
      crew.askAll({ kind: 'cancel', ...orderOf(key) }, done)
    })
  }
}
