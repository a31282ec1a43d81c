import { runsUntil } from '../policy.ts'
import type { Snapshot } from '../snapshot.ts'
import { isHolder, isLeaseProven, isRunningAs, verdict, type StanceRule, type Verdict } from './stance.ts'

/** A guard that runs is heard within this after the agent's start; one that does not is being started then. */
const GUARD_HEARD_MS = 1000

/** PostgreSQL is run by somebody else, or there is none: this agent watches and reports. */
export const onlyWatch: StanceRule = ({ local }) => {
  if (local.managed) return undefined
  if (local.isWitness)
    return verdict('waiting', 'WITNESS', { sentence: 'witness: votes, and has no database' })
  return verdict('waiting', 'ATTACHED', {
    sentence: 'attached: watches PostgreSQL and reports, does not act',
  })
}

/**
 * A primary without the right to be one is killed, not asked: a newer epoch exists, or it gave its own up. The record
 * may be an old copy, but a record in which this node is not the holder is proof for ever.
 */
export const fenceWhenSuperseded: StanceRule = (seen) => {
  const record = seen.store.record
  if (!record || !mayBePrimary(seen)) return undefined
  if (isHolder(seen) && record.state !== 'released') return undefined
  return verdict('fencing', 'SUPERSEDED', {
    sentence: `fences its own PostgreSQL: epoch ${record.epoch} belongs to ${record.holder} (${record.state})`,
    actions: [{ kind: 'fence', reason: 'SUPERSEDED' }],
  })
}

/**
 * A primary whose lease ran out must stop before anyone else may start. After a restart of the agent the lease is not
 * proven yet, but the guard still holds its deadline: then the agent renews instead of killing. With neither proof nor
 * guard nobody knows whether the lease has ended, so PostgreSQL is stopped. Where others have to acknowledge, it may run on for a while.
 */
export const fenceWithoutLease: StanceRule = (seen) => {
  if (!isHolder(seen) || !isRunningAs(seen, 'primary') || isLeaseProven(seen)) return undefined
  if (seen.store.record?.incarnation === '') return undefined
  const released = runsThroughPause(seen)
  if (released) return released
  if (!seen.local.provedLease && (seen.local.guard === 'armed' || isGuardStillComing(seen))) {
    return verdict('waiting', 'LEASE_UNPROVEN', {
      sentence: 'renews the lease that an earlier life of this agent held',
      keepLease: true,
    })
  }
  if (seen.takenAt < runsUntil(seen.policy, seen.store.record, seen.store.provenUntil)) {
    return verdict('primary', 'STORE_GRACE', {
      sentence: 'primary without a lease: its commits wait for others, who would not acknowledge for two',
      keepLease: true,
    })
  }
  return verdict('fencing', 'LEASE_UNPROVEN', {
    sentence: 'fences its own PostgreSQL: the lease is not proven any more',
    actions: [{ kind: 'fence', reason: 'LEASE_UNPROVEN' }],
  })
}

/**
 * No majority answers since this agent started, so it does not even know who holds the lease. The guard of an earlier life
 * would know when PostgreSQL has to end; without it nobody does.
 */
export const fenceUnguarded: StanceRule = (seen) => {
  if (seen.store.record || seen.store.hasQuorum || !isRunningAs(seen, 'primary')) return undefined
  if (seen.local.guard === 'armed' || isGuardStillComing(seen)) return undefined
  if (seen.local.guardReleased) {
    return verdict('waiting', 'PAUSED', {
      sentence:
        'leaves its PostgreSQL alone: its guard was let go in a pause, and no majority of voters answers',
    })
  }
  return verdict('fencing', 'LEASE_UNPROVEN', {
    sentence: 'fences its own PostgreSQL: no guard holds its deadline and no majority of voters answers',
    actions: [{ kind: 'fence', reason: 'LEASE_UNPROVEN' }],
  })
}

/**
 * Its guard was let go in a pause, and the record says so: nobody takes over by lease from a holder that nothing could have ended, nor by
 * revocation what is acknowledged here (docs/adr/0034). Also when the pause is over: it renews, and then its guard holds a deadline again.
 */
function runsThroughPause(seen: Snapshot): Verdict | undefined {
  const { record } = seen.store
  if (!seen.local.guardReleased || !record || record.isUnfenced !== true || record.state !== 'open')
    return undefined
  return verdict('primary', 'PAUSED', {
    sentence: 'primary without a proven lease: its guard was let go in a pause, so nobody takes over from it',
    keepLease: true,
  })
}

/** What cannot be looked at is neither empty nor ours: nothing is begun on it. */
export const awaitDirectory: StanceRule = (seen) => {
  if (seen.local.directory !== 'unknown' || isRunningAs(seen, 'primary')) return undefined
  return verdict('waiting', 'BUSY', {
    sentence: `cannot look at its data directory: ${seen.local.instance.trouble ?? 'no answer yet'}`,
  })
}

/** An agent that has just started has not heard its guard yet. */
function isGuardStillComing(seen: Snapshot): boolean {
  return seen.local.guard === 'absent' && seen.agentUptimeMs < GUARD_HEARD_MS
}

/** Without a majority nothing new is begun: what runs, runs on for as long as its lease is proven. */
export const holdWithoutQuorum: StanceRule = (seen) => {
  if (seen.store.hasQuorum) return undefined
  if (isHolder(seen) && isLeaseProven(seen) && isRunningAs(seen, 'primary')) {
    return verdict('primary', 'HOLDS_LEASE', {
      sentence: 'primary while the lease lasts: no majority of voters answers',
      keepLease: true,
    })
  }
  const kind = isRunningAs(seen, 'standby') ? 'standby' : 'waiting'
  return verdict(kind, 'NO_QUORUM', { sentence: 'waits for a majority of voters' })
}

/** An instance that is coming up may be a primary in the next moment; one that says standby is none. */
function mayBePrimary(seen: Snapshot): boolean {
  const { state, role } = seen.local.instance
  if (state === 'running') return role === 'primary'
  return (state === 'starting' || state === 'unknown' || state === 'stopping') && role === 'primary'
}
