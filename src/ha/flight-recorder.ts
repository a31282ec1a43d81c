import { messageOf } from '../std/fault.ts'
import { NO_ACKS } from '../model/ack-rule.ts'
import type { EpochRecord } from '../model/epoch-record.ts'
import type { FailoverRecord, FailoverStep, FailoverStepKind } from '../model/failover-record.ts'
import type { MonotonicMs } from '../model/time.ts'
import type { Logger } from '../platform/log.ts'
import { canAcknowledge } from './decide/acks.ts'
import { pledgesFor } from './decide/revocation.ts'
import { isHolder, isRunningAs } from './decide/stance.ts'
import type { Decision } from './decision.ts'
import type { Keys } from './keys.ts'
import type { Clock, Store } from './ports.ts'
import type { Snapshot } from './snapshot.ts'

/** So many of the newest are kept in the store. */
const KEPT_MAX = 20

type Draft = {
  readonly epoch: number
  readonly from: string
  readonly startedAtMs: MonotonicMs
  readonly startedAt: string
  readonly steps: FailoverStep[]
  passedOver: FailoverRecord['passedOver']
}

/**
 * Writes down how this member became primary, step by step, from what every decision was made on. It judges nothing and nothing waits
 * for it: what it cannot keep is in the log.
 */
export class FlightRecorder {
  readonly #deps: { readonly clock: Clock; readonly store: Store; readonly log: Logger }
  readonly #options: { readonly keys: Keys; readonly writeDeadlineMs: number }
  #draft: Draft | undefined

  constructor(
    deps: { clock: Clock; store: Store; log: Logger },
    options: { keys: Keys; writeDeadlineMs: number },
  ) {
    this.#deps = deps
    this.#options = options
  }

  /** Looks at one decision and what it was made on. */
  see(seen: Snapshot, decision: Decision): void {
    const { record } = seen.store
    if (!record) return
    const coming = record.epoch + (record.state === 'open' || record.state === 'released' ? 1 : 0)
    const isOpenHere = record.state === 'open' && isHolder(seen)
    if (isOpenHere && this.#draft?.epoch === record.epoch) {
      this.#note(seen, 'open')
      this.#finish(seen, record)
      return
    }
    const evidence = isOpenHere ? undefined : evidenceOf(seen, record, decision)
    if (this.#draft?.epoch !== coming) this.#draft = undefined
    if (evidence !== undefined) {
      this.#begin(seen, record.holder, coming)
      this.#note(seen, 'noticed', evidence)
    } else if (record.state === 'open') {
      // A false alarm, or it is over and another's.
      this.#draft = undefined
    }
    this.#seeTakeOver(seen, record, decision)
  }

  #seeTakeOver(seen: Snapshot, record: EpochRecord, decision: Decision): void {
    if (record.state === 'pledging') {
      this.#begin(seen, record.holder, record.epoch)
      this.#note(seen, 'begun', record.reason)
      for (const { name, timeline, flushLsn } of pledgesFor(seen, record.epoch)) {
        this.#note(seen, 'pledged', `${name} at ${flushLsn} of timeline ${timeline}`)
      }
    }
    for (const action of decision.actions) {
      if (action.kind !== 'take-over') continue
      this.#begin(seen, record.holder, action.epoch)
      this.#note(seen, 'noticed', action.reason)
      if (this.#draft) this.#draft.passedOver = action.passedOver ?? []
    }
    if (record.state !== 'authorised' || !isHolder(seen)) return
    this.#note(seen, 'authorised')
    if (!isRunningAs(seen, 'primary')) return
    this.#note(seen, 'promoted')
    const { rule = NO_ACKS } = record.acks?.at(-1) ?? {}
    if (rule.k > 0 && canAcknowledge(seen, rule)) this.#note(seen, 'protected')
  }

  #begin(seen: Snapshot, from: string, epoch: number): void {
    if (this.#draft) return
    const startedAt = new Date(this.#deps.clock.wall()).toISOString()
    this.#draft = { epoch, from, startedAtMs: seen.takenAt, startedAt, steps: [], passedOver: [] }
  }

  /** Each step counts when it was seen first. */
  #note(seen: Snapshot, step: FailoverStepKind, detail?: string): void {
    const draft = this.#draft
    if (
      !draft ||
      draft.steps.some((one) => one.step === step && (step !== 'pledged' || one.detail === detail))
    )
      return
    const atMs = Math.round(seen.takenAt - draft.startedAtMs)
    draft.steps.push({ atMs, step, ...(detail === undefined ? {} : { detail }) })
  }

  #finish(seen: Snapshot, record: EpochRecord): void {
    const draft = this.#draft
    this.#draft = undefined
    if (!draft) return
    const { epoch, from, startedAt, steps, passedOver } = draft
    const takeover = record.chain.findLast((link) => link.epoch === epoch)?.takeover ?? 'lease'
    const failover: FailoverRecord = {
      epoch,
      from,
      to: seen.self,
      reason: record.reason,
      takeover,
      startedAt,
      steps,
      passedOver,
    }
    this.#deps.log.info('Failover', failover)
    void this.#keep(failover)
  }

  async #keep(failover: FailoverRecord): Promise<void> {
    const { store, log } = this.#deps
    const { keys, writeDeadlineMs } = this.#options
    const old = store
      .peekPrefix(keys.failovers)
      .map(({ key, value }) => ({ key, epoch: (JSON.parse(value) as FailoverRecord).epoch }))
      .toSorted((one, other) => other.epoch - one.epoch)
      .slice(KEPT_MAX - 1)
    try {
      await store.transact(
        {
          compares: [],
          operations: [
            { kind: 'put', key: keys.failoverRecord(failover.epoch), value: JSON.stringify(failover) },
            ...old.map(({ key }) => ({ kind: 'delete' as const, key })),
          ],
        },
        { deadlineMs: writeDeadlineMs },
      )
    } catch (error) {
      log.warn('Cannot keep the record of a failover', { error: messageOf(error) })
    }
  }
}

/** What told this member that the primary is no longer there; `undefined` while nothing does. */
function evidenceOf(seen: Snapshot, record: EpochRecord, decision: Decision): string | undefined {
  const { holder, state, release } = record
  if (state === 'released') return `${holder} gave it up: ${release?.reason ?? ''}`
  const peer = seen.peers.find(({ name }) => name === holder)
  const { state: instance = 'unknown' } = peer?.facts.instance ?? {}
  if (instance === 'crashed' || instance === 'stopped')
    return `${holder} says that its PostgreSQL is ${instance}`
  if (!decision.told.suspects) return undefined
  const silentMs = Math.round(seen.takenAt - (peer?.heardAt ?? seen.attentiveSince))
  const kernel = seen.holderAnswers ? `, its kernel ${seen.holderAnswers.answer}` : ''
  return `${holder} was not heard for ${silentMs} ms${kernel}`
}
