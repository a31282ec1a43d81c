import type { RecordKeeper } from '../ha/record-keeper.ts'
import { judgeCandidates } from '../ha/decide/candidates.ts'
import type { Keys } from '../ha/keys.ts'
import type { Clock, Store } from '../ha/ports.ts'
import type { Snapshot } from '../ha/snapshot.ts'
import type { EpochRecord } from '../model/epoch-record.ts'
import { pauseOn } from '../ha/pause-on.ts'
import type { SwitchoverOrder, SwitchoverOutcome } from '../api/ports.ts'
import { refused } from './refused.ts'

const LOOK_EVERY_MS = 20

type Refusal = Extract<SwitchoverOutcome, { kind: 'refused' }>

export type SwitchoverDeps = {
  readonly clock: Clock
  readonly store: Store
  readonly keeper: RecordKeeper
  readonly keys: Keys
  /** The newest snapshot of this agent. */
  readonly seen: () => Snapshot | undefined
}

/**
 * Asks the holder for a switchover, from any node: the request lies in the store until the holder has dealt with it.
 * Answers when another member has opened the next epoch, or says what became of it.
 */
export async function requestSwitchover(
  deps: SwitchoverDeps,
  order: SwitchoverOrder,
  deadlineMs: number,
): Promise<SwitchoverOutcome> {
  const { clock, store, keys, keeper } = deps
  const record = keeper.record
  const refusal = whyNoSwitchover(deps.seen(), order, record)
  if (refusal || !record) return refusal ?? refused('NO_PRIMARY', 'The cluster has no primary')
  const startedAt = clock.monotonic()
  const value = switchoverRequest(record.holder, order.to)
  const result = await store.transact(
    {
      compares: [{ kind: 'mod', key: keys.failover, revision: 0 }],
      operations: [{ kind: 'put', key: keys.failover, value }],
    },
    { deadlineMs: Math.min(deadlineMs, 3000) },
  )
  if (!result.succeeded) return refused('IN_PROGRESS', 'Another switchover is under way')
  for (;;) {
    const now = keeper.record
    const tookMs = Math.round(clock.monotonic() - startedAt)
    if (now && now.epoch > record.epoch && now.state === 'open') {
      if (order.to !== undefined && now.holder !== order.to) {
        return { kind: 'failed', message: `${now.holder} is the primary now, instead of ${order.to}` }
      }
      return { kind: 'done', from: record.holder, to: now.holder, epoch: now.epoch, tookMs }
    }
    if (now?.epoch === record.epoch && now.state !== 'released' && !store.peek(keys.failover)) {
      return {
        kind: 'failed',
        message: `${record.holder} is still the primary: the candidate was not eligible when it looked; see its log`,
      }
    }
    if (tookMs >= deadlineMs) {
      return { kind: 'unknown', message: `Not finished after ${tookMs} ms; it may still happen` }
    }
    await pauseOn(clock, LOOK_EVERY_MS)
  }
}

/** As it lies in the store until the holder has dealt with it, in Patroni's words. */
export function switchoverRequest(from: string, to: string | undefined): string {
  return JSON.stringify({ leader: from, ...(to === undefined ? {} : { member: to }) })
}

/** What is wrong with the order, seen from this node; the holder looks again. */
export function whyNoSwitchover(
  seen: Snapshot | undefined,
  order: Pick<SwitchoverOrder, 'from' | 'to'>,
  record: EpochRecord | undefined,
): Refusal | undefined {
  if (!seen?.store.hasQuorum) return refused('NO_QUORUM', 'No majority of voters answers')
  if (!record || record.state !== 'open') return refused('NO_PRIMARY', 'The cluster has no primary now')
  if (order.from !== undefined && order.from !== record.holder) {
    return refused('PRIMARY_IS_ANOTHER', `The primary is ${record.holder}, not ${order.from}`)
  }
  if (order.to === record.holder) return refused('CANDIDATE_IS_PRIMARY', `${order.to} is the primary already`)
  if (order.to !== undefined && !seen.members.includes(order.to)) {
    return refused(
      'CANDIDATE_UNKNOWN',
      `There is no member "${order.to}": the members are ${seen.members.join(', ')}`,
    )
  }
  const verdicts = judgeCandidates(seen, record, 'hand-over')
  if (order.to === undefined) {
    if (verdicts[0]?.kind === 'eligible') return undefined
    const reasons = verdicts.map((one) => (one.kind === 'unfit' ? `${one.name} ${one.why}` : one.name))
    return refused('NO_ELIGIBLE_CANDIDATE', `Nobody can take over: ${reasons.join('; ')}`)
  }
  const chosen = verdicts.find(({ name }) => name === order.to)
  if (chosen?.kind === 'eligible') return undefined
  return refused('CANDIDATE_NOT_ELIGIBLE', `${order.to} ${chosen?.why ?? 'was never heard'}`)
}
