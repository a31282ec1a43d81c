import { isIn, NO_ACKS } from '../../model/ack-rule.ts'
import type { EpochRecord, TakeoverReason } from '../../model/epoch-record.ts'
import type { FailoverRecord } from '../../model/failover-record.ts'
import { formatLsn, parseLsn } from '../../model/lsn.ts'
import { leadObstacle } from '../../model/member-tags.ts'
import type { Action, Divergence, Upstream } from '../decision.ts'
import type { Snapshot } from '../snapshot.ts'
import { judgeCandidates, type CandidateVerdict } from './candidates.ts'
import { judgeHistory } from './history.ts'
import { judgeLapse, type Lapse } from './lapse.ts'
import { afterRelease, isCountedOn } from './revocation.ts'
import { isHolderUnfenced } from './unfenced.ts'
import {
  isHeard,
  isHolder,
  isInstanceDown,
  isRunningAs,
  memberOf,
  verdict,
  type StanceRule,
  type Verdict,
} from './stance.ts'

/** A standby whose primary serves streams within a second or two; three lost connections in a row take no longer than this. */
const UNSTREAMED_MS = 10_000
/** Ten minutes, in the end. */
const UNSTREAMED_DOUBLINGS_MAX = 6

/** Rewinds that left everything as it was; then the primary refuses for a reason that stays. */
const REWIND_TRIES = 3

/** So long a taker waits for the others to say where they are, after the lease became free. */
const POSITIONS_WAIT_MS = 500

/** There is no record: the cluster has never been created. Exactly one configured member may do it. */
export const createCluster: StanceRule = (seen) => {
  if (seen.store.record) return undefined
  if (seen.initialiser !== seen.self) {
    return verdict('waiting', 'NO_CLUSTER_YET', {
      sentence: `waits for ${seen.initialiser} to create the cluster`,
    })
  }
  const obstacle = leadObstacle(seen.local)
  if (obstacle !== undefined) {
    return verdict('waiting', 'NOT_ELIGIBLE', { sentence: `does not create the cluster: ${obstacle}` })
  }
  if (seen.local.directory !== 'absent' && seen.local.directory !== 'incomplete') {
    return verdict('waiting', 'FOREIGN_DATA', {
      sentence: 'cannot create the cluster: the data directory is not empty',
    })
  }
  return verdict('waiting', 'BOOTSTRAP', {
    sentence: 'claims the first epoch',
    actions: [{ kind: 'bootstrap' }],
  })
}

/** The lease is free: the best standby takes it; the others say who is ahead of them. */
export const takeOver: StanceRule = (seen) => {
  const record = seen.store.record
  if (!record || isHolder(seen)) return undefined
  const lapse = judgeLapse(seen, record)
  if (lapse.kind === 'held') return undefined
  if (lapse.kind === 'reserved') {
    return isInstanceDown(seen)
      ? undefined
      : verdict('standby', 'RESERVED', {
          sentence: `waits for ${lapse.to} to take epoch ${record.epoch + 1}`,
        })
  }
  if (lapse.kind === 'expired' && seen.store.paused) return undefined
  if (record.systemId === '') return takeOverEmptyCluster(seen, record)
  if (isInstanceDown(seen)) return undefined
  // Where commits wait for others, an epoch that was not given up whole is taken by revocation alone.
  if (record.acks && (lapse.kind !== 'released' || record.acks.length > 1)) return undefined
  if (isHolderUnfenced(seen, record)) {
    return verdict('standby', 'HOLDER_UNFENCED', {
      sentence: `does not take over from ${record.holder}: when its lease was renewed last, neither guard nor watchdog could have ended its PostgreSQL`,
    })
  }
  return considerTakeOver(seen, record, lapse)
}

function considerTakeOver(seen: Snapshot, record: EpochRecord, lapse: Lapse & { since: number }): Verdict {
  const wait = coldStartWait(seen, lapse)
  if (wait) return wait
  const verdicts = judgeCandidates(seen, record)
  const own = verdicts.find(({ name }) => name === seen.self)
  if (own?.kind !== 'eligible') {
    return verdict('standby', 'NOT_ELIGIBLE', {
      sentence: `does not take over: ${own?.why ?? 'is the old holder'}`,
    })
  }
  // Handed to this node by name: the others wait, also those that rank before it.
  const isNamed = lapse.kind === 'released' && lapse.isReserved
  return (isNamed ? undefined : yieldToRival(seen, lapse, verdicts)) ?? takesOver(seen, record)
}

/** Whoever is ahead of this node goes first; who has not told its position yet is asked, for a while. */
function yieldToRival(
  seen: Snapshot,
  lapse: Lapse & { since: number },
  verdicts: readonly CandidateVerdict[],
): Verdict | undefined {
  const rivals = verdicts
    .filter((rival) => rival.kind === 'eligible')
    .filter(({ name }) => name !== seen.self)
  const unread = rivals.find(({ isFresh }) => !isFresh)
  if (unread && seen.takenAt - lapse.since < POSITIONS_WAIT_MS) {
    return verdict('standby', 'AWAITS_PEERS', { sentence: `asks ${unread.name} for its WAL position` })
  }
  const best = verdicts[0]
  const own = verdicts.find(({ name }) => name === seen.self)
  if (best?.kind !== 'eligible' || own?.kind !== 'eligible' || best.name === seen.self) return undefined
  // Who is best but does not come is waited for as long as a named heir, and no longer.
  if (seen.takenAt - lapse.since >= seen.policy.handoverTtlMs) return undefined
  return verdict('standby', 'NOT_BEST', {
    sentence: `does not take over: ${best.name} is at ${formatLsn(best.flush)}, this node at ${formatLsn(own.flush)}`,
  })
}

function takesOver(seen: Snapshot, record: EpochRecord): Verdict {
  return verdict('becoming-primary', 'TAKES_OVER', {
    sentence: `takes epoch ${record.epoch + 1} over from ${record.holder}`,
    actions: [
      {
        kind: 'take-over',
        epoch: record.epoch + 1,
        revision: seen.store.recordRevision,
        reason: takeoverReason(record),
        ...(record.acks ? afterRelease(seen) : {}),
        passedOver: passedOver(seen, record),
      },
    ],
  })
}

function passedOver(seen: Snapshot, record: EpochRecord): FailoverRecord['passedOver'] {
  return judgeCandidates(seen, record)
    .filter(({ name }) => name !== seen.self)
    .map((one) => ({ name: one.name, why: one.kind === 'unfit' ? one.why : 'ranks behind' }))
}

/** From cold, members that were not heard yet may hold more WAL; bounded (safety.md 29). */
function coldStartWait(seen: Snapshot, lapse: Lapse): Verdict | undefined {
  if (lapse.kind !== 'expired' || seen.agentUptimeMs >= seen.policy.coldStartWaitMs) return undefined
  const unheard = seen.members.filter(
    (name) => name !== seen.self && !seen.peers.some((peer) => peer.name === name),
  )
  if (unheard.length === 0) return undefined
  return verdict('standby', 'COLD_START_WAIT', {
    sentence: `waits for ${unheard.join(', ')} before it takes over from cold`,
  })
}

/** An initialisation died with its holder: no data exists anywhere, whoever gets the right begins anew (safety.md 28). */
function takeOverEmptyCluster(seen: Snapshot, record: EpochRecord): Verdict | undefined {
  if (seen.local.directory !== 'absent' && seen.local.directory !== 'incomplete') return undefined
  if (seen.local.tags?.nofailover) return undefined
  return verdict('waiting', 'TAKES_OVER', {
    sentence: `takes the creation of the cluster over from ${record.holder}`,
    actions: [
      {
        kind: 'take-over',
        epoch: record.epoch + 1,
        revision: seen.store.recordRevision,
        reason: 'BOOTSTRAP',
      },
    ],
  })
}

function takeoverReason(record: EpochRecord): TakeoverReason {
  return record.release?.reason ?? 'LEASE_EXPIRED'
}

/** Data that is not this cluster's is never touched. */
export const leaveForeignDataAlone: StanceRule = (seen) => {
  const record = seen.store.record
  if (!record) return undefined
  if (seen.local.directory === 'foreign') {
    return verdict('waiting', 'FOREIGN_DATA', {
      sentence:
        'does not join: the data directory holds files that are no PostgreSQL instance; move them away',
    })
  }
  const systemId = seen.local.instance.systemId
  if (seen.local.directory !== 'instance' || systemId === undefined || record.systemId === '')
    return undefined
  if (systemId === record.systemId) return undefined
  if (wasNeverOpened(seen, record)) {
    return isInstanceDown(seen)
      ? cloneFromHolder(seen, record, upstreamOf(seen, record.holder))
      : verdict('waiting', 'OTHER_SYSTEM', {
          sentence: 'stops what it created in an epoch that never opened',
          actions: [{ kind: 'stop' }],
        })
  }
  return verdict('waiting', 'OTHER_SYSTEM', {
    sentence: `does not join: its data is of system ${systemId}, the cluster is ${record.systemId}; move the data directory away to have it cloned`,
  })
}

/**
 * This node created its data itself, in an epoch that never opened: another member created the cluster instead, and nothing was
 * ever served from here (safety.md 28). The directory is still only set aside.
 */
function wasNeverOpened(seen: Snapshot, record: EpochRecord): boolean {
  const epoch = seen.local.promotedInEpoch
  const first = record.chain[0]
  return epoch !== undefined && first?.takeover === 'bootstrap' && epoch < first.epoch
}

/** Follow the holder: stream, start as its standby, or be cloned from it. In a pause only what needs neither stop nor start. */
export const joinAsStandby: StanceRule = (seen) => {
  const found = standbyOf(seen)
  const isWork = found?.actions.some(({ kind }) => !UNTOUCHING.has(kind)) ?? false
  if (!found || !isWork || !seen.store.paused || seen.local.restartAsked) return found
  const { kind, sentence } = found.stance
  return verdict(kind, 'PAUSED', {
    sentence: `leaves its PostgreSQL alone, since the cluster is paused; else: ${sentence}`,
  })
}

/** What a standby does beside its running PostgreSQL. */
const UNTOUCHING: ReadonlySet<Action['kind']> = new Set([
  'follow',
  'hold-commits',
  'remove-set-aside',
  'configure',
])

function standbyOf(seen: Snapshot): Verdict | undefined {
  const record = seen.store.record
  if (!record || isHolder(seen)) return undefined
  const upstream = upstreamOf(seen, record.holder)
  const anew = seen.local.reinitAsked === true ? reinitialise(seen, record, upstream) : undefined
  if (anew) return anew
  if (isRunningAs(seen, 'standby')) return keepFollowing(seen, record, upstream)
  if (!isInstanceDown(seen)) return verdict('waiting', 'BUSY', { sentence: 'waits for its PostgreSQL' })
  if (seen.takenAt < seen.local.retryAt) {
    return verdict('waiting', 'REJOINS', {
      sentence: `tries again soon: ${seen.local.instance.trouble ?? 'the last try failed'}`,
    })
  }
  if (seen.local.directory !== 'instance') return cloneFromHolder(seen, record, upstream)
  return startAgain(seen, record, upstream)
}

/** An operator said so by name. What lies here is kept aside all the same, and only given up while somebody serves a copy. */
function reinitialise(
  seen: Snapshot,
  record: EpochRecord,
  upstream: Upstream | undefined,
): Verdict | undefined {
  if (record.state !== 'open' || !upstream || !isHolderServing(seen, record)) return undefined
  const isUp = isRunningAs(seen, 'standby')
  if (!isUp && !isInstanceDown(seen)) return undefined
  const wal = seen.local.stoppedWal
  // What it had alone is kept and told also when an operator gives it up.
  if (!isUp && !wal) return undefined
  const history = isUp || !wal ? undefined : judgeHistory(record.chain, walOf(seen, wal.timeline, wal.endLsn))
  const diverged = history?.kind === 'diverged' ? { diverged: history.divergence } : {}
  const how = verdict('standby', 'REINITIALISES', {
    sentence: `clones ${upstream.name}, as an operator asked`,
    actions: [isUp ? { kind: 'stop' } : { kind: 'clone', from: upstream, ...diverged }],
  })
  return rewriting(seen, record, how)
}

function keepFollowing(seen: Snapshot, record: EpochRecord, upstream: Upstream | undefined): Verdict {
  const { timeline, flushLsn } = seen.local.instance
  const history =
    timeline === undefined || flushLsn === undefined
      ? undefined
      : judgeHistory(record.chain, walOf(seen, timeline, flushLsn))
  // Where the next timeline forks is known before it is open only after a revocation: then the first commit needs its standbys.
  const mayFollow =
    record.state === 'authorised' && record.acks !== undefined && history?.kind === 'on-history'
  const isBehindPledge = (seen.local.pledge?.epoch ?? 0) > record.epoch
  if ((record.state !== 'open' && !mayFollow) || isBehindPledge) {
    return verdict('standby', 'AWAITS_OPEN', {
      sentence: `waits for ${record.holder} to open epoch ${record.epoch}`,
    })
  }
  if (seen.local.restartAsked && record.state === 'open') {
    return verdict('standby', 'RESTARTS', {
      sentence: 'restarts its PostgreSQL, as an operator asked',
      actions: [{ kind: 'restart', as: 'standby', ...(upstream ? { follow: upstream } : {}) }],
    })
  }
  if (history?.kind === 'diverged') {
    return verdict('standby', 'DIVERGED', {
      sentence: `its WAL passes the fork of epoch ${history.divergence.epoch}: stops to come back onto the history`,
      actions: [{ kind: 'stop' }],
    })
  }
  const isFollowing =
    upstream !== undefined &&
    seen.local.following?.host === upstream.host &&
    seen.local.following.port === upstream.port
  if (upstream && !isFollowing) {
    return verdict('standby', 'FOLLOWS_HOLDER', {
      sentence: `turns to ${upstream.name}`,
      actions: [{ kind: 'follow', upstream }],
    })
  }
  if (upstream && isStuck(seen, record)) {
    return verdict('standby', 'FOLLOWS_HOLDER', {
      sentence: `does not stream from ${upstream.name}: starts its PostgreSQL again`,
      actions: [{ kind: 'stop' }],
    })
  }
  if (record.acks && seen.local.instance.synchronousNames === '') {
    return verdict('standby', 'FOLLOWS_HOLDER', {
      sentence: `standby of ${record.holder}`,
      actions: [{ kind: 'hold-commits' }],
    })
  }
  const isTidy = seen.local.setAside === 0 || seen.local.instance.streaming !== true
  const isConfiguring = seen.local.unconfigured && record.state === 'open'
  return verdict('standby', 'FOLLOWS_HOLDER', {
    sentence: `standby of ${record.holder}`,
    actions: [
      ...(isTidy ? [] : [{ kind: 'remove-set-aside' } as const]),
      ...(isConfiguring ? [{ kind: 'configure' } as const] : []),
    ],
  })
}

/**
 * A standby that has once aimed at a timeline which was abandoned later never turns to another one by itself, although it has no
 * WAL of it: PostgreSQL looks for the newest history only among the children of its goal (`rescanLatestTimeLine` in
 * xlogrecovery.c). A start looks among all. Each try that does not help is followed by a wait of twice the length, since whoever
 * reads there is cut.
 */
function isStuck(seen: Snapshot, record: EpochRecord): boolean {
  const { unstreamedSince, unstreamedStops } = seen.local
  if (unstreamedSince === undefined || !isHolderServing(seen, record)) return false
  const waitMs = UNSTREAMED_MS * 2 ** Math.min(unstreamedStops, UNSTREAMED_DOUBLINGS_MAX)
  return seen.takenAt - unstreamedSince >= waitMs
}

/**
 * Its WAL lies on the history, but what comes next is nowhere any more: removed, or the holder was cloned itself since and never had it.
 * It has tried to stream. Once a clone has failed it is started again and serves what it has, until the next try.
 */
function isLeftBehind(seen: Snapshot, record: EpochRecord, endLsn: string): boolean {
  const { unstreamedStops, cloneFailures } = seen.local
  if (unstreamedStops === 0 || cloneFailures > 0 || !isHolderServing(seen, record)) return false
  const holder = seen.peers.find(({ name }) => name === record.holder)
  const oldest = parseLsn(holder?.facts.instance.oldestWal ?? '')
  const end = parseLsn(endLsn)
  // A walreceiver asks from the start of its segment, and a segment is there as a whole or not at all.
  return oldest !== undefined && end !== undefined && end < oldest
}

/**
 * The data here is given up only when nothing hangs on it. Order: out of the rule first, since what is here may be the only copy of a
 * commit (safety.md 8); and not before the epoch is open, since only then is it certain which way the history goes.
 */
function rewriting(seen: Snapshot, record: EpochRecord, how: Verdict): Verdict {
  if (isCountedOn(seen, record)) {
    return verdict('waiting', 'LEAVES_ACK_RULE', {
      sentence: `its data has to be rewritten: waits until ${record.holder} counts on it no more`,
      told: { leavesAckRule: true },
    })
  }
  if (!record.acks || record.state === 'open') return how
  return verdict('waiting', 'AWAITS_OPEN', {
    sentence: `its data has to be rewritten: waits for ${record.holder} to open epoch ${record.epoch}`,
  })
}

function cloneFromHolder(seen: Snapshot, record: EpochRecord, upstream: Upstream | undefined): Verdict {
  if (record.state !== 'open' || !upstream || !isHolderServing(seen, record)) {
    return verdict('waiting', 'AWAITS_HOLDER', {
      sentence: `waits for ${record.holder} to be cloned from it`,
    })
  }
  return rewriting(
    seen,
    record,
    verdict('standby', 'CLONES', {
      sentence: `clones ${record.holder}${failedRewind(seen)}`,
      actions: [{ kind: 'clone', from: upstream }],
    }),
  )
}

function failedRewind({ local }: Snapshot): string {
  return local.rewindFailure === undefined ? '' : `, since a rewind failed: ${local.rewindFailure.why}`
}

/** Enough of those that its commits wait for are there, with the data that they were counted with. */
function opensWithoutHelp(seen: Snapshot, { acks }: EpochRecord): boolean {
  const { rule = NO_ACKS } = acks?.at(-1) ?? {}
  const there = seen.peers.filter((peer) => isHeard(seen, peer)).map(memberOf)
  return rule.members.filter(isIn(there)).length >= rule.k
}

function startAgain(seen: Snapshot, record: EpochRecord, upstream: Upstream | undefined): Verdict {
  // Where the next timeline forks is known once it is open; unless the lease lapses, or it opens only with this member, that is worth
  // waiting for: there is nothing to stream before.
  const isNeeded = isCountedOn(seen, record) || !opensWithoutHelp(seen, record)
  if (record.state === 'authorised' && !isNeeded && judgeLapse(seen, record).kind === 'held') {
    return verdict('waiting', 'AWAITS_OPEN', {
      sentence: `waits for ${record.holder} to open epoch ${record.epoch}`,
    })
  }
  const wal = seen.local.stoppedWal
  if (!wal) return verdict('waiting', 'BUSY', { sentence: 'looks for the end of its WAL' })
  const history = judgeHistory(record.chain, walOf(seen, wal.timeline, wal.endLsn))
  if (history.kind === 'unknown-timeline') {
    return verdict('waiting', 'DIVERGED', {
      sentence: `does not join: nobody authorised its timeline ${wal.timeline}; move the data directory away to have it cloned`,
    })
  }
  if (history.kind === 'on-history') {
    if (upstream && isLeftBehind(seen, record, wal.endLsn)) {
      const sentence = `${upstream.name} no longer has the WAL behind ${wal.endLsn}: keeps its data aside and clones it`
      const actions = [{ kind: 'clone', from: upstream } as const]
      return rewriting(seen, record, verdict('standby', 'CLONES', { sentence, actions }))
    }
    return verdict('standby', 'REJOINS', {
      sentence: `starts as a standby${upstream ? ` of ${upstream.name}` : ''}`,
      // A timeline that is not open yet may never be: whoever streams from it could not go back.
      actions: [
        {
          kind: 'start',
          as: 'standby',
          ...(upstream && (record.state !== 'authorised' || record.acks) ? { follow: upstream } : {}),
        },
      ],
    })
  }
  if (!upstream || !isHolderServing(seen, record)) {
    return verdict('waiting', 'AWAITS_HOLDER', {
      sentence: `diverged: waits for ${record.holder} to come back from it`,
    })
  }
  return rewriting(seen, record, comeBack(seen, { record, upstream }, history.divergence))
}

/** The way back onto the history: what differs is fetched where that can work, else everything (ADR 0022). */
function comeBack(
  seen: Snapshot,
  { record, upstream: from }: { record: EpochRecord; upstream: Upstream },
  diverged: Divergence,
): Verdict {
  const left = `its WAL left the history at ${diverged.forkLsn}: keeps it aside and`
  const why = whyNotRewound(seen, record, diverged)
  if (why === undefined) {
    return verdict('standby', 'DIVERGED', {
      sentence: `${left} rewinds to ${from.name}`,
      actions: [{ kind: 'rewind', from, diverged }],
    })
  }
  return verdict('standby', 'DIVERGED', {
    sentence: `${left} clones ${from.name}, since it cannot be rewound: ${why}`,
    actions: [{ kind: 'clone', from, diverged }],
  })
}

function whyNotRewound(
  { local }: Snapshot,
  record: EpochRecord,
  { timeline }: Divergence,
): string | undefined {
  const { rewindObstacle, rewindFailure } = local
  if (rewindObstacle !== undefined) return rewindObstacle
  // pg_rewind compares ids alone, and sees nothing to do (safety.md M12).
  if (timeline === record.timeline) return `both histories call their timeline ${timeline}`
  // A primary that does not answer just now would not give a clone either.
  return rewindFailure && rewindFailure.times >= REWIND_TRIES ? rewindFailure.why : undefined
}

function walOf(
  seen: Snapshot,
  timeline: number,
  endLsn: string,
): { timeline: number; endLsn: string; promotedInEpoch?: number | undefined } {
  return { timeline, endLsn, promotedInEpoch: seen.local.promotedInEpoch }
}

function upstreamOf(seen: Snapshot, holder: string): Upstream | undefined {
  const peer = seen.peers.find(({ name }) => name === holder)
  if (peer) return { name: holder, host: peer.facts.host, port: peer.facts.port }
  const address = seen.store.addresses[holder]
  return address ? { name: holder, ...address } : undefined
}

function isHolderServing(seen: Snapshot, record: EpochRecord): boolean {
  const peer = seen.peers.find(({ name }) => name === record.holder)
  if (!peer || !isHeard(seen, peer)) return false
  return peer.facts.instance.state === 'running' && peer.facts.instance.role === 'primary'
}
