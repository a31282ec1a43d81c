import { Violation } from '../../checkers/violation.ts'
import type { BackendAcknowledgement, PassedAcknowledgement } from './cluster-facts.ts'

/**
 * G1 and G7. Where commits wait for others an acknowledgement may be late: it left its standby before that one pledged, so the commit is
 * part of what the newer epoch began with (`isKept`), and nothing is wrong. In asynchronous mode: through routers that did not just stand still themselves, or with their host: after any router
 * passed an acknowledgement of epoch e on, none passes one of a lower epoch. At the backends themselves the same, but for a host
 * on which nobody could fence: its guard is gone or stood still until just now, and no watchdog
 * runs that would end it in time (safety.md 18, 20).
 */
export class AcksOrderedByEpoch {
  #passed: PassedAcknowledgement | undefined
  #backend: BackendAcknowledgement | undefined

  /** The first acknowledgement of the newest epoch that a backend gave. */
  get newest(): BackendAcknowledgement | undefined {
    return this.#backend
  }

  seePassed(ack: PassedAcknowledgement): void {
    const last = this.#passed
    if (last !== undefined && ack.epoch < last.epoch && !ack.isKept) {
      throw new Violation(
        `the router of ${ack.router} passed token ${ack.token} of epoch ${ack.epoch} on, after that of ${last.router} had passed one of epoch ${last.epoch}`,
        'acks-ordered-by-epoch',
      )
    }
    if (last === undefined || ack.epoch > last.epoch) this.#passed = ack
  }

  seeBackend(ack: BackendAcknowledgement): void {
    const last = this.#backend
    if (last !== undefined && ack.epoch < last.epoch && !ack.isUnguarded && !ack.isKept) {
      throw new Violation(
        `${ack.host} acknowledged token ${ack.token} in epoch ${ack.epoch}, after ${last.host} had acknowledged in epoch ${last.epoch}`,
        'acks-ordered-by-epoch',
      )
    }
    if (last === undefined || ack.epoch > last.epoch) this.#backend = ack
  }
}
