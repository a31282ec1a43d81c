import type { WhyAnswer } from '#client'
import type { Decision } from '../../ha/decision.ts'
import type { Snapshot } from '../../ha/snapshot.ts'
import { lagBytes, parseLsn } from '../../model/lsn.ts'
import type { InstanceFacts } from '../../model/member.ts'
import { bytes, timeSpan } from '../../std/quantity-text.ts'
import { answersTo } from './answer.ts'

const WELL: ReadonlySet<string> = new Set(['HOLDS_LEASE', 'FOLLOWS_HOLDER', 'WITNESS'])

/** What a member is, and what it waits for: of this node by its decision, of another by what is known of it here. */
export function whatItDoes(seen: Snapshot, { stance }: Decision, name: string): WhyAnswer {
  const say = answersTo('DOING')
  if (name === seen.self) {
    const { text, isStreaming } = positionOf(seen, name, seen.local.instance)
    const away =
      seen.local.unstreamedSince === undefined
        ? ''
        : ` for ${timeSpan(seen.takenAt - seen.local.unstreamedSince)}`
    const trouble = seen.local.instance.trouble
    const isWell = WELL.has(stance.reason) && isStreaming && trouble === undefined
    const why = trouble === undefined ? '' : `; ${trouble}`
    return say(isWell, stance.reason, `${stance.sentence}${text}${isStreaming ? '' : away}${why}`)
  }
  const peer = seen.peers.find((one) => one.name === name)
  const { silenceLimitMs } = seen.policy
  if (!peer) return say(false, 'NEVER_HEARD', `was never heard by ${seen.self}`)
  const agoMs = seen.takenAt - peer.heardAt
  if (agoMs > silenceLimitMs) {
    const limit = timeSpan(silenceLimitMs)
    return say(false, 'SILENT', `was not heard by ${seen.self} for ${timeSpan(agoMs)} (limit ${limit})`)
  }
  if (peer.facts.witness) return say(true, 'WITNESS', 'witness: votes, and has no database')
  const { instance } = peer.facts
  const { text, isStreaming } = positionOf(seen, name, instance)
  const role = instance.state === 'running' ? ` as ${instance.role ?? 'nobody knows what'}` : ''
  const trouble = instance.trouble === undefined ? '' : `; ${instance.trouble}`
  return say(
    instance.state === 'running' && isStreaming && trouble === '',
    instance.state.toUpperCase(),
    `its PostgreSQL is ${instance.state}${role}${text}${trouble}`,
  )
}

/** Parameters that were changed and are not in force. */
export function whatWaitsForRestart(seen: Snapshot, name: string): WhyAnswer | undefined {
  const instance =
    name === seen.self ? seen.local.instance : seen.peers.find((peer) => peer.name === name)?.facts.instance
  const waiting = instance?.pendingRestart ?? []
  if (waiting.length === 0) return undefined
  const sentence = `${waiting.join(', ')}: the new value waits until its PostgreSQL is restarted, which nothing does by itself: pg-metako restart ${name}`
  return answersTo('RESTART')(false, 'PENDING_RESTART', sentence)
}

/** Of a standby: how far it is behind what the primary published last. */
function positionOf(
  { store }: Snapshot,
  name: string,
  { state, role, streaming, flushLsn }: InstanceFacts,
): { readonly text: string; readonly isStreaming: boolean } {
  if (state !== 'running' || role !== 'standby' || !store.record || store.record.holder === name)
    return { text: '', isStreaming: true }
  const [at, end] = [parseLsn(flushLsn ?? ''), parseLsn(store.record.position)]
  const lag = at === undefined || end === undefined ? '' : `, ${bytes(lagBytes(at, end))} behind`
  return streaming === true
    ? { text: `, streams${lag}`, isStreaming: true }
    : { text: `${lag}, does not stream`, isStreaming: false }
}
