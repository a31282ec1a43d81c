import type { Snapshot } from '../snapshot.ts'
import { eligibleCandidates } from './candidates.ts'
import { isHolder, isInstanceDown, isLeaseProven, isRunningAs, verdict, type StanceRule } from './stance.ts'

/** The others need one heartbeat to say that they are being stopped as well. */
const OTHERS_SAY_MS = 250

/** The node is being shut down on purpose: a primary hands over first when somebody can take over without loss. */
export const stopOnPurpose: StanceRule = (seen) => {
  if (!seen.stopping) return undefined
  if (isInstanceDown(seen)) return verdict('stopping', 'STOPPING', { sentence: 'stopped' })
  const record = seen.store.record
  const isServing = record && isHolder(seen) && isRunningAs(seen, 'primary') && isLeaseProven(seen)
  if (isServing && seen.store.hasQuorum) {
    const heir = eligibleCandidates(seen, record, 'hand-over')[0]
    if (seen.stoppingForMs < OTHERS_SAY_MS && heir) {
      return verdict('stopping', 'STOPPING', {
        sentence: 'listens whether the others stop too',
        keepLease: true,
      })
    }
    if (heir) {
      return verdict('stopping', 'STOPPING', {
        sentence: `hands over to ${heir.name} before it stops`,
        keepLease: true,
        actions: [{ kind: 'hand-over', to: heir.name, reason: 'PRIMARY_STOPPED' }],
      })
    }
  }
  return verdict('stopping', 'STOPPING', {
    sentence: 'stops its PostgreSQL',
    // Also while it shuts down: else the guard would end a shutdown that takes longer than the lease.
    keepLease: Boolean(isServing) || isShuttingDown(seen),
    actions: [{ kind: 'stop' }],
  })
}

function isShuttingDown(seen: Snapshot): boolean {
  const { job } = seen.local
  return (job === 'stop' || job === 'hand-over') && isHolder(seen) && isLeaseProven(seen)
}
