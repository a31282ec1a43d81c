import type { WhyAnswer } from '#client'
import { judgeLapse } from '../../ha/decide/lapse.ts'
import type { Decision } from '../../ha/decision.ts'
import type { KnockAnswer, Snapshot } from '../../ha/snapshot.ts'
import type { EpochRecord } from '../../model/epoch-record.ts'
import { timeSpan } from '../../std/quantity-text.ts'
import { answersTo } from './answer.ts'

/** Nobody acts in a pause; and a primary that cannot write stays where nobody is better. */
const STAYS: ReadonlySet<string> = new Set([
  'PAUSED',
  'WRITE_PATH_STALLED',
  'DISK_FULL',
  'NO_CONNECTION_SLOTS',
])
const CALM: ReadonlySet<string> = new Set(['HOLDS_LEASE', 'FOLLOWS_HOLDER', 'WITNESS'])

/** Why no other member takes over in this moment. */
export function whyNoFailover(seen: Snapshot, { stance, findings }: Decision): WhyAnswer {
  const say = answersTo('FAILOVER')
  const { record } = seen.store
  const stuck = findings.find(({ code }) => STAYS.has(code))
  if (stuck) return say(false, stuck.code, stuck.message)
  // Where a finding says it, it says what to do as well.
  const told =
    findings.find(({ code }) => code === stance.reason)?.message ?? `${seen.self} ${stance.sentence}`
  if (!record || !CALM.has(stance.reason)) return say(false, stance.reason, told)
  if (record.holder === seen.self) {
    const leftMs = Math.max(0, seen.store.provenUntil - seen.takenAt)
    return say(
      seen.store.hasQuorum,
      stance.reason,
      `${seen.self} is ${stance.sentence}: its lease is proven for ${timeSpan(leftMs)} more`,
    )
  }
  const { isHeard, text } = signsOfLife(seen, record)
  const lease = leaseText(seen, record)
  return say(isHeard && record.state === 'open', `LEASE_${lease.kind}`, `${text}, and ${lease.text}`)
}

function leaseText(seen: Snapshot, record: EpochRecord): { readonly kind: string; readonly text: string } {
  const lapse = judgeLapse(seen, record)
  const whose = `the lease of epoch ${record.epoch}`
  switch (lapse.kind) {
    case 'held':
      return {
        kind: 'HELD',
        text: Number.isFinite(lapse.until)
          ? `${whose} ends for ${seen.self} in ${timeSpan(lapse.until - seen.takenAt)}, unless it is renewed`
          : `epoch ${record.epoch} is nobody's yet`,
      }
    case 'reserved':
      return {
        kind: 'RESERVED',
        text: `${whose} is kept for ${lapse.to} for ${timeSpan(lapse.until - seen.takenAt)}`,
      }
    case 'released':
      return { kind: 'RELEASED', text: `${whose} was given up ${timeSpan(seen.takenAt - lapse.since)} ago` }
    case 'expired':
      return { kind: 'EXPIRED', text: `${whose} ran out ${timeSpan(seen.takenAt - lapse.since)} ago` }
  }
}

const KNOCKED: Readonly<Record<KnockAnswer, string>> = {
  answers: 'its PostgreSQL answers a knock',
  accepts: 'its host takes connections for a PostgreSQL that does not answer',
  refuses: 'its host refuses connections to PostgreSQL',
  silent: 'its host does not answer a knock',
}

/** What is known of the holder, against the limit after which it counts as silent. */
function signsOfLife(
  { peers, takenAt, policy, holderAnswers }: Snapshot,
  { holder }: EpochRecord,
): { readonly isHeard: boolean; readonly text: string } {
  const peer = peers.find(({ name }) => name === holder)
  const limit = timeSpan(policy.silenceLimitMs)
  if (!peer) return { isHeard: false, text: `${holder} was never heard by this agent` }
  const agoMs = takenAt - peer.heardAt
  const isHeard = agoMs <= policy.silenceLimitMs
  const { state, role } = peer.facts.instance
  if (isHeard && state === 'running' && role === 'primary')
    return {
      isHeard,
      text: `${holder} runs as primary and was heard ${timeSpan(agoMs)} ago (limit ${limit})`,
    }
  if (isHeard)
    return { isHeard: false, text: `${holder} was heard ${timeSpan(agoMs)} ago: its PostgreSQL is ${state}` }
  const knocked = holderAnswers ? `, ${KNOCKED[holderAnswers.answer]}` : ''
  return { isHeard, text: `${holder} was not heard for ${timeSpan(agoMs)} (limit ${limit})${knocked}` }
}
