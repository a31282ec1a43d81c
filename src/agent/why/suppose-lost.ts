import { decide } from '../../ha/decide/decide.ts'
import { judgeLapse } from '../../ha/decide/lapse.ts'
import type { Decision } from '../../ha/decision.ts'
import type { PeerFacts, Snapshot } from '../../ha/snapshot.ts'
import type { Pledge } from '../../model/ack-rule.ts'
import type { EpochRecord } from '../../model/epoch-record.ts'
import type { InstanceFacts } from '../../model/member.ts'
import { plus, type MonotonicMs } from '../../model/time.ts'

/**
 * So long after an epoch was begun all have pledged who can, and whoever ranks behind another leaves it to that one still (ALL_PLEDGES_MS
 * and YIELD_MS of the rules).
 */
const PLEDGED_AFTER_MS = 300

/** What would be decided, and by how many of the voters; `undefined` where there is no primary to lose, or it is this node. */
export type Supposed = {
  readonly decision: Decision
  readonly voters: { readonly answering: number; readonly all: number }
}

/**
 * What this node would do if the host of the primary were lost in this moment and all others stayed as they are: the same `decide`, on the
 * snapshot as it would be by then. Changes nothing.
 */
export function supposeHolderLost(seen: Snapshot, voters: readonly string[]): Supposed | undefined {
  const { record } = seen.store
  if (!record || record.holder === seen.self || record.state !== 'open') return undefined
  const answering = voters.filter((name) => name !== record.holder && isThere(seen, name)).length
  const lost = withoutHolder(seen, record, { hasQuorum: answering * 2 > voters.length })
  const first = decide(lost)
  const opens = first.actions.find(({ kind }) => kind === 'open-epoch')
  const decision = opens?.kind === 'open-epoch' ? decide(begun(lost, record, opens.epoch)) : first
  return { decision, voters: { answering, all: voters.length } }
}

function isThere({ self, peers, takenAt, policy }: Snapshot, name: string): boolean {
  const heardAt = peers.find((peer) => peer.name === name)?.heardAt
  return name === self || (heardAt !== undefined && takenAt - heardAt <= policy.silenceLimitMs)
}

/** The moment at which its lease has just run out: it was not heard since, and nobody streams any more. */
function withoutHolder(
  seen: Snapshot,
  record: EpochRecord,
  { hasQuorum }: { readonly hasQuorum: boolean },
): Snapshot {
  const lapse = judgeLapse(seen, record)
  const endsInMs = lapse.kind === 'held' ? Math.max(0, lapse.until - seen.takenAt) : 0
  const passedMs = Math.max(endsInMs, seen.policy.silenceLimitMs) + 1
  const takenAt = plus(seen.takenAt, passedMs)
  const saw = { epoch: record.epoch, seq: record.seq, state: record.state, expired: true, witnessed: true }
  const others = seen.peers.map((peer): PeerFacts => {
    if (peer.name === record.holder) return peer
    const { suspects: _suspects, ...facts } = peer.facts
    return {
      ...peer,
      heardAt: plus(peer.heardAt, passedMs),
      facts: { ...facts, seen: saw, instance: unstreamed(facts.instance) },
    }
  })
  return {
    ...seen,
    takenAt,
    agentUptimeMs: seen.agentUptimeMs + passedMs,
    holderAnswers: { answer: 'silent', at: takenAt },
    // What began with the store's own silence would be over.
    store: { ...seen.store, hasQuorum: seen.store.hasQuorum && hasQuorum },
    local: { ...seen.local, instance: unstreamed(seen.local.instance), retryAt: 0 as MonotonicMs },
    peers: others,
  }
}

/** The next epoch is begun, and everybody who is here has promised not to help the one before. */
function begun(lost: Snapshot, record: EpochRecord, epoch: number): Snapshot {
  const pledge = (name: string, incarnation: string | undefined, instance: InstanceFacts) =>
    pledgeOf({ name, incarnation, epoch }, instance)
  const { local } = lost
  const own = pledge(lost.self, local.incarnation, {
    ...local.instance,
    ...(local.stoppedWal ? { timeline: local.stoppedWal.timeline, flushLsn: local.stoppedWal.endLsn } : {}),
  })
  const takenAt = plus(lost.takenAt, PLEDGED_AFTER_MS)
  const { release: _release, ...rest } = record
  return {
    ...lost,
    takenAt,
    store: {
      ...lost.store,
      firstSeenAt: lost.takenAt,
      record: { ...rest, epoch, state: 'pledging', reason: 'PRIMARY_SILENT' },
    },
    local: { ...local, ...own },
    peers: lost.peers.map((peer) =>
      peer.name === record.holder
        ? peer
        : {
            ...peer,
            heardAt: plus(peer.heardAt, PLEDGED_AFTER_MS),
            facts: {
              ...peer.facts,
              ...(peer.facts.stopping || !isThere(lost, peer.name)
                ? {}
                : pledge(peer.name, peer.facts.incarnation, peer.facts.instance)),
            },
          },
    ),
  }
}

function pledgeOf(
  { name, incarnation, epoch }: { name: string; incarnation: string | undefined; epoch: number },
  { timeline, flushLsn }: InstanceFacts,
): { readonly pledge?: Pledge } {
  if (incarnation === undefined || timeline === undefined || flushLsn === undefined) return {}
  return { pledge: { name, incarnation, epoch, timeline, flushLsn } }
}

/** Whoever streams no more has replayed by then what it has. */
function unstreamed(instance: InstanceFacts): InstanceFacts {
  const { streaming, flushLsn } = instance
  return streaming === true
    ? { ...instance, streaming: false, ...(flushLsn === undefined ? {} : { replayLsn: flushLsn }) }
    : instance
}
