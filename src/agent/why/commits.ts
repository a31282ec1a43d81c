import type { WhyAnswer } from '#client'
import { walNameOf, type AckMember, type AckRule } from '../../model/ack-rule.ts'
import type { EpochRecord } from '../../model/epoch-record.ts'
import { lagBytes, parseLsn } from '../../model/lsn.ts'
import type { InstanceFacts, MemberFacts } from '../../model/member.ts'
import { leadObstacle, mayAcknowledge } from '../../model/member-tags.ts'
import type { Snapshot } from '../../ha/snapshot.ts'
import { bytes, enumerated } from '../../std/quantity-text.ts'
import { answersTo } from './answer.ts'

const NOT_STREAMING = 'does not stream from the primary'

/** Whom a commit waits for, by the rule in the record, and how they are. */
export function whomCommitsWaitFor(seen: Snapshot): WhyAnswer | undefined {
  const { record } = seen.store
  const say = answersTo('COMMITS')
  if (!record) return undefined
  const primary = instanceOf(seen, record.holder)
  const link = record.acks?.at(-1)
  if (!link) {
    const [nearest] = (primary?.walSenders ?? [])
      .filter(({ state }) => state === 'streaming')
      .flatMap(({ flushLsn }) => behind(primary, flushLsn) ?? [])
      .toSorted((one, other) => one - other)
    const risk =
      nearest === undefined
        ? 'and no standby streams: all since then would be lost with it'
        : `and the nearest standby is ${bytes(nearest)} behind: so much would be lost with ${record.holder}`
    const sentence = `commits wait for nobody (replication.mode is async), ${risk}`
    return say(nearest !== undefined, 'WAITS_FOR_NOBODY', sentence)
  }
  const { rule, next } = link
  const changing = next ? `; this is being changed to ${ruleText(next)}` : ''
  if (rule.k === 0) {
    const isStrict = seen.policy.acks?.isStrict === true
    const sentence = isStrict
      ? 'no commit is acknowledged: no standby streams, and replication.synchronous_mode_strict lets them wait until one does'
      : `commits wait for nobody, since no standby streams: only ${record.holder} has what is committed now`
    return say(false, isStrict ? 'COMMITS_WAIT' : 'COMMITS_UNPROTECTED', sentence + changing)
  }
  const states = rule.members.map((member) => streamOf(primary, member))
  const streaming = states.filter(({ isStreaming }) => isStreaming).length
  const waits =
    streaming < rule.k
      ? 'no commit is acknowledged now'
      : `${streaming} ${streaming === 1 ? 'streams' : 'stream'}`
  const each = states.map(({ text }) => text).join(', ')
  const sentence = `each commit waits for ${ruleText(rule)}, ${waits}: ${each}${changing}`
  return say(streaming >= rule.k, streaming < rule.k ? 'COMMITS_WAIT' : 'ACKNOWLEDGED', sentence)
}

/** Whether commits may wait for this member, or why not. */
export function whoAcknowledges(seen: Snapshot, name: string): WhyAnswer | undefined {
  const { record } = seen.store
  if (!record?.acks || name === record.holder) return undefined
  const say = answersTo('ACKNOWLEDGES')
  const rule = record.acks.at(-1)?.rule ?? { k: 0, members: [] }
  if (rule.members.some((member) => member.name === name))
    return say(true, 'COUNTED', `commits wait for ${ruleText(rule)}, it is one of them`)
  const obstacle = obstacleOf(seen, record, name)
  if (obstacle !== undefined) return say(false, 'NOT_COUNTED', `no commit waits for it: it ${obstacle}`)
  return say(
    true,
    'ENOUGH',
    `no commit waits for it: ${ruleText(rule)} are counted already, and no more than twice as many as are needed ever are`,
  )
}

function obstacleOf(seen: Snapshot, record: EpochRecord, name: string): string | undefined {
  const facts = factsOf(seen, name)
  if (!facts) return 'was never heard'
  if (facts.tags?.nosync) return 'is tagged nosync'
  if (!mayAcknowledge(facts)) return leadObstacle(facts) ?? 'may not lead'
  if (facts.instance.state !== 'running') return `has no PostgreSQL that runs: it is ${facts.instance.state}`
  const { incarnation } = facts
  const primary = instanceOf(seen, record.holder)
  if (incarnation === undefined) return NOT_STREAMING
  const { isStreaming, lag } = streamOf(primary, { name, incarnation })
  if (!isStreaming) return NOT_STREAMING
  const { k, members } = record.acks?.at(-1)?.rule ?? { k: 0, members: [] }
  return members.length >= 2 * k && k > 0
    ? undefined
    : `is ${lag === undefined ? 'not yet near' : `${bytes(lag)} behind`}`
}

function factsOf(
  { self, local, peers }: Snapshot,
  name: string,
): Pick<MemberFacts, 'tags' | 'watchdog' | 'instance' | 'incarnation'> | undefined {
  return name === self ? local : peers.find((peer) => peer.name === name)?.facts
}

function instanceOf(seen: Snapshot, name: string): InstanceFacts | undefined {
  return factsOf(seen, name)?.instance
}

function streamOf(
  primary: InstanceFacts | undefined,
  member: AckMember,
): { readonly isStreaming: boolean; readonly lag?: number; readonly text: string } {
  const walName = walNameOf(member)
  const sender = (primary?.walSenders ?? []).find(
    ({ name, state }) => name === walName && state === 'streaming',
  )
  if (!sender) return { isStreaming: false, text: `${member.name} does not` }
  const lag = behind(primary, sender.flushLsn)
  return lag === undefined
    ? { isStreaming: true, text: member.name }
    : { isStreaming: true, lag, text: `${member.name} ${bytes(lag)} behind` }
}

function behind(primary: InstanceFacts | undefined, lsn: string | undefined): number | undefined {
  const [at, end] = [parseLsn(lsn ?? ''), parseLsn(primary?.flushLsn ?? '')]
  return at === undefined || end === undefined ? undefined : lagBytes(at, end)
}

function ruleText({ k, members }: AckRule): string {
  return k === 0 ? 'nobody' : `${k} of ${enumerated(members.map(({ name }) => name))}`
}
