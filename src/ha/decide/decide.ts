import { isJob, type Action, type Decision } from '../decision.ts'
import type { Snapshot } from '../snapshot.ts'
import {
  becomePrimary,
  finishBootstrap,
  keepWhileStarting,
  reviveOrRelease,
  servePrimary,
  takeBackOwnRelease,
} from './as-holder.ts'
import { createCluster, joinAsStandby, leaveForeignDataAlone, takeOver } from './as-other.ts'
import { findAll } from './findings.ts'
import { convictHolder, pledgeAndTake, resumeOwnEpoch } from './revocation.ts'
import {
  awaitDirectory,
  fenceUnguarded,
  fenceWhenSuperseded,
  fenceWithoutLease,
  holdWithoutQuorum,
  onlyWatch,
} from './safety-rules.ts'
import { verdict, type StanceRule, type Verdict } from './stance.ts'
import { stepDown } from './step-down.ts'
import { stopOnPurpose } from './stopping.ts'

/*
 * The heart: a snapshot in, a decision out. Pure, so that every decision can be shown, replayed and tested. It must
 * never read a clock, wait or act. Keeps G1 (in asynchronous mode), G3, G5 and G6 of docs/guarantees.md.
 */

/** First match wins: the order is the policy. What protects data stands before what serves. */
const stanceRules: readonly StanceRule[] = [
  onlyWatch,
  fenceWhenSuperseded,
  resumeOwnEpoch,
  fenceWithoutLease,
  fenceUnguarded,
  stopOnPurpose,
  holdWithoutQuorum,
  awaitDirectory,
  createCluster,
  leaveForeignDataAlone,
  pledgeAndTake,
  finishBootstrap,
  keepWhileStarting,
  stepDown,
  servePrimary,
  becomePrimary,
  reviveOrRelease,
  takeBackOwnRelease,
  convictHolder,
  takeOver,
  joinAsStandby,
]

/** What this node should do now. Same snapshot, same decision. */
export function decide(seen: Snapshot): Decision {
  const { stance, actions, told = {} } = firstMatch(seen)
  return { stance, actions: withoutBusy(seen, actions), findings: findAll(seen), told }
}

function firstMatch(seen: Snapshot): Verdict {
  for (const rule of stanceRules) {
    const found = rule(seen)
    if (found) return found
  }
  return verdict('waiting', 'BUSY', { sentence: 'waits for its PostgreSQL' })
}

/** What failed is not tried again at once: a loop of failures would fill disks with logs. To end PostgreSQL is never too soon. */
function isTooSoon(seen: Snapshot, action: Action): boolean {
  if (seen.takenAt >= seen.local.retryAt || action.kind === 'stop' || action.kind === 'fence') return false
  return isJob(action)
}

/** One job at a time works on the instance. Fencing waits for none; what only touches the store runs beside it. */
function withoutBusy(seen: Snapshot, actions: readonly Action[]): readonly Action[] {
  const { job } = seen.local
  if (job === undefined) return actions.filter((action) => !isTooSoon(seen, action))
  return actions.filter(({ kind }) => {
    if (kind === 'fence') return job !== 'fence'
    return ['clear-request', 'arm-guard', 'open-epoch', 'resume-epoch'].includes(kind)
  })
}
