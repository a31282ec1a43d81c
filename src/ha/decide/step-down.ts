import type { AckMember } from '../../model/ack-rule.ts'
import type { EpochRecord, StepDownReason } from '../../model/epoch-record.ts'
import { leadObstacle } from '../../model/member-tags.ts'
import { goodWordMs } from '../policy.ts'
import type { PeerFacts, Snapshot } from '../snapshot.ts'
import { eligibleCandidates } from './candidates.ts'
import { openEpoch, reachable, whoIsMissing } from './revocation.ts'
import { isHolder, isInstanceDown, memberOf, verdict, type StanceRule, type Verdict } from './stance.ts'

/*
 * A primary that runs and cannot write (docs/adr/0021, safety.md 24): its disk stalls or is full, or its processes stand still. It ends
 * itself, and only where another member can write: then the cluster does. Otherwise it stays what it is, and a finding says so.
 */

/** Who could go on when it was fenced is waited for; then it goes on as after any crash. */
const HEIRS_BACK_MS = 2000

/**
 * Ends this node's PostgreSQL, which cannot write, and leaves its epoch. Order: no process is left before the right is given up; a
 * kill that cannot be proven gives up nothing, and the lease decides. Where commits wait for others a new epoch may be begun all the
 * same, since no process here can acknowledge once they have pledged.
 */
export const stepDown: StanceRule = (seen) => {
  const { record } = seen.store
  if (!record || !isHolder(seen) || record.state !== 'open') return undefined
  const { convicted } = seen.local
  if (convicted?.epoch === record.epoch) return leave(seen, record, convicted)
  const reason = seen.store.paused ? undefined : whyStepDown(seen)
  const heir = reason && heirOf(seen, record)
  if (!reason || heir === undefined) return undefined
  return verdict('fencing', reason, {
    sentence: `fences its own PostgreSQL: ${describeTrouble(seen, reason)}, and ${heir} can go on`,
    actions: [{ kind: 'fence', reason }],
  })
}

/** Only of an instance that this agent has seen as a primary; one that starts, ends or recovers is in no state to be judged. */
export function whyStepDown({ local }: Snapshot): StepDownReason | undefined {
  const { instance, writePath } = local
  if (instance.role !== 'primary') return undefined
  // One that stands still does not say what it is.
  if (instance.state !== 'running' && instance.state !== 'unknown') return undefined
  if (writePath?.state === 'stalled') return 'WRITE_PATH_STALLED'
  return writePath?.state === 'full' ? 'DISK_FULL' : undefined
}

/** In the words of a person who is to understand why. */
export function describeTrouble({ local, takenAt }: Snapshot, reason: StepDownReason): string {
  if (reason === 'DISK_FULL') return 'its disk is full'
  const { stalledSince = takenAt } = local.writePath ?? {}
  return `a commit of its own has not come back for ${Math.round(takenAt - stalledSince)} ms`
}

/** Who can go on, in words; `undefined`: nobody whose own disk is known to be good. */
export function heirOf(seen: Snapshot, record: EpochRecord): string | undefined {
  if (!record.acks) return heirByLease(seen, record)
  const good = seen.peers.filter((peer) => !peer.facts.stopping && canWrite(seen, peer))
  // Whoever has to pledge makes that durable, and the one of them that has most is the next primary.
  if (!canBreak(record, good.map(memberOf)) || !good.some(mayBecomePrimary)) return undefined
  return good.map(({ name }) => name).join(', ')
}

function heirByLease(seen: Snapshot, record: EpochRecord): string | undefined {
  const good = seen.peers.filter((peer) => canWrite(seen, peer)).map(({ name }) => name)
  return eligibleCandidates(seen, record).find(({ name }) => good.includes(name))?.name
}

/** It said so just now: an older word may come from before a trouble that it shares with this primary, and fell silent in. */
export function canWrite({ takenAt, policy }: Snapshot, { facts, heardAt }: PeerFacts): boolean {
  return facts.writePath?.state === 'good' && takenAt - heardAt <= goodWordMs(policy.writePath)
}

function mayBecomePrimary({ facts }: PeerFacts): boolean {
  const { state, role } = facts.instance
  const isFit = facts.guard !== 'absent' && leadObstacle(facts) === undefined
  return state === 'running' && role === 'standby' && isFit
}

function leave(
  seen: Snapshot,
  record: EpochRecord,
  { reason, at }: NonNullable<Snapshot['local']['convicted']>,
): Verdict | undefined {
  if (seen.local.job === 'fence') {
    return verdict('fencing', reason, { sentence: 'ends its own PostgreSQL, which cannot write' })
  }
  if (canBreak(record, reachable(seen, record))) {
    return verdict('waiting', reason, {
      sentence: `cannot write: begins epoch ${record.epoch + 1} for the others`,
      actions: [openEpoch(seen, record, reason)],
    })
  }
  if (!isInstanceDown(seen)) return fenceAgain(seen, reason)
  const released = record.acks ? undefined : releaseToHeir(seen, record, reason)
  if (released || seen.takenAt - at >= HEIRS_BACK_MS) return released
  return verdict('waiting', reason, { sentence: 'cannot write: waits for those who could' })
}

/** These suffice to begin the next epoch; never where commits wait for nobody. */
function canBreak(record: EpochRecord, members: readonly AckMember[]): boolean {
  return record.acks?.length === 1 && whoIsMissing(record, members) === undefined
}

/** What cannot be ended counts for nothing: the lease is not kept, and whoever takes over waits for its end. */
function fenceAgain(seen: Snapshot, reason: StepDownReason): Verdict {
  return verdict('fencing', reason, {
    sentence: 'cannot end its own PostgreSQL, which cannot write: its lease runs out',
    actions: seen.takenAt < seen.local.retryAt ? [] : [{ kind: 'fence', reason }],
  })
}

/** Nobody there any more: `undefined`. */
function releaseToHeir(seen: Snapshot, record: EpochRecord, reason: StepDownReason): Verdict | undefined {
  const { stoppedWal } = seen.local
  if (!stoppedWal)
    return verdict('waiting', reason, { sentence: 'cannot write: looks for the end of its WAL' })
  const heir = heirByLease(seen, { ...record, position: stoppedWal.endLsn })
  if (heir === undefined) return undefined
  return verdict('waiting', reason, {
    sentence: `cannot write: leaves epoch ${record.epoch} to ${heir}`,
    actions: [{ kind: 'release', reason, to: heir }],
  })
}
