import type { NodeFacts, SlotFacts } from '#client'
import { bytes } from '../../std/quantity-text.ts'
import { GiB } from '../../std/units.ts'
import { error, ok, warning, type Check, type Judgement } from '../diagnosis.ts'

/** Of WAL that nobody fetches: a disk that was bought for a database has room for it once. */
const KEEPS_MUCH_BYTES = 1 * GiB

export const slots: Check<NodeFacts> = {
  name: 'slots',
  about: 'no replication slot has lost its WAL, or keeps WAL that nobody fetches',
  judge: ({ database }) => {
    if (!database) return []
    const found = database.slots.flatMap(judged)
    const used = database.slots.filter(({ isActive }) => isActive).length
    return found.length === 0 && database.slots.length > 0
      ? [ok('SLOTS', `${database.slots.length} slots, ${used} in use`)]
      : found
  },
}

function judged(slot: SlotFacts): readonly Judgement[] {
  const { name, isActive, isOwn, walStatus, keepsBytes } = slot
  const drop = `select pg_drop_replication_slot('${name.replaceAll("'", "''")}')`
  if (walStatus === 'lost')
    return [
      error(
        'SLOT_LOST',
        `the WAL that slot ${name} stood for is gone: whoever used it cannot go on from there`,
        isOwn
          ? 'Its member is cloned anew by itself; if it is not, pg-metako reinit MEMBER'
          : `Set up its consumer anew, and drop it: ${drop}`,
      ),
    ]
  if (isActive) return []
  const kept = keepsBytes === undefined ? 'WAL' : `${bytes(keepsBytes)} of WAL`
  if (!isOwn)
    return [
      warning(
        'SLOT_UNUSED',
        `slot ${name} is used by nobody and keeps ${kept}, more with each commit`,
        `If its consumer does not come back: ${drop}`,
      ),
    ]
  if (walStatus === 'unreserved' || (keepsBytes ?? 0) >= KEEPS_MUCH_BYTES)
    return [
      warning(
        'SLOT_BEHIND',
        `slot ${name} keeps ${kept} for a member that does not stream${walStatus === 'unreserved' ? ', and is about to lose it' : ''}`,
        'Bring its member back (pg-metako why MEMBER), or take it out: pg-metako member remove MEMBER',
      ),
    ]
  return []
}
