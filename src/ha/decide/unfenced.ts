import type { EpochRecord } from '../../model/epoch-record.ts'
import type { Snapshot } from '../snapshot.ts'
import { judgeLapse } from './lapse.ts'
import { isHeard } from './stance.ts'

/**
 * The lease ran out on a holder that had neither guard nor watchdog when it was renewed last: its PostgreSQL may be writing still, and
 * a new primary would be the second one (safety.md 20). Until its own agent says that it does not, an operator does, or took the risk.
 */
export function isHolderUnfenced(seen: Snapshot, record: EpochRecord): boolean {
  if (record.isUnfenced !== true || seen.policy.trustsUnfenced || record.acks) return false
  if (judgeLapse(seen, record).kind !== 'expired') return false
  const { confirmedDown } = seen.store
  if (confirmedDown?.epoch === record.epoch && confirmedDown.seq === record.seq) return false
  const holder = seen.peers.find((peer) => peer.name === record.holder && isHeard(seen, peer))
  if (!holder) return true
  const { state, role } = holder.facts.instance
  return !(state === 'absent' || state === 'stopped' || (state === 'running' && role === 'standby'))
}
