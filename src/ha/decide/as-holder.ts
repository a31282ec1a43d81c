import { present } from '../../std/assert.ts'
import { NO_ACKS } from '../../model/ack-rule.ts'
import { isHeld, type EpochRecord } from '../../model/epoch-record.ts'
import { watchdogObstacle } from '../../model/watchdog.ts'
import type { Action } from '../decision.ts'
import type { Snapshot } from '../snapshot.ts'
import { canAcknowledge, changeOfAcks } from './acks.ts'
import { eligibleCandidates, judgeCandidates } from './candidates.ts'
import { afterRelease, leaveToOthers } from './revocation.ts'
import {
  databaseMembers,
  isHeard,
  isHolder,
  isInstanceDown,
  isLeaseProven,
  isRunningAs,
  verdict,
  type StanceRule,
  type Verdict,
} from './stance.ts'

/** Peers need a moment to be heard after this agent's start, before "nobody else can" is believed. */
const PEERS_HEARD_MS = 1500
/** Standbys measure twice a second and say so ten times: after this every position is one from after the crash. */
const POSITIONS_HEARD_MS = 800
/** After so many failed starts of a primary another member is preferred. */
const START_FAILURES_MAX = 3

/** The first epoch was given to this node, and its initdb has not finished: it does it, or does it again. */
export const finishBootstrap: StanceRule = (seen) => {
  const record = seen.store.record
  if (!record || !isHolder(seen) || record.systemId !== '' || record.state === 'released') return undefined
  const say = { sentence: 'creates the cluster', keepLease: true }
  if (isRunningAs(seen, 'primary')) {
    return verdict('becoming-primary', 'BOOTSTRAP', {
      ...say,
      actions: [{ kind: 'mark-open', epoch: record.epoch }],
    })
  }
  if (!isLeaseProven(seen)) return verdict('becoming-primary', 'BOOTSTRAP', say)
  if (seen.local.directory === 'foreign') {
    return verdict('waiting', 'FOREIGN_DATA', {
      sentence: 'cannot create the cluster: the data directory holds other files',
    })
  }
  const action: Action =
    seen.local.directory === 'instance' ? { kind: 'start', as: 'primary' } : { kind: 'initialise' }
  return verdict('becoming-primary', 'BOOTSTRAP', { ...say, actions: [action] })
}

/** The ordinary life of the primary. */
export const servePrimary: StanceRule = (seen) => {
  const record = seen.store.record
  if (!record || !isHolder(seen) || !isRunningAs(seen, 'primary')) return undefined
  const actions: Action[] = []
  // Order: the guard first; whoever writes without a deadline outlives its right.
  const guard = guardOf(seen, record)
  if (guard) actions.push(guard)
  const others = databaseMembers(seen).filter((name) => name !== seen.self)
  const slots: Action = { kind: 'sync-slots', members: others }
  // Order: a standby without its slot does not stream, and where commits wait none is acknowledged before one does.
  if (record.acks) actions.push(slots)
  const change = changeOfAcks(seen, record)
  if (change) actions.push(change)
  if (record.state === 'authorised') {
    const { rule = NO_ACKS } = record.acks?.at(-1) ?? {}
    if (!canAcknowledge(seen, rule)) {
      return verdict('primary', 'AWAITS_OPEN', {
        sentence: `waits for ${rule.members.map(({ name }) => name).join(', ')} to stream before epoch ${record.epoch} is open`,
        keepLease: true,
        actions,
      })
    }
    actions.push({ kind: 'mark-open', epoch: record.epoch })
  } else if (seen.store.request) return answerRequest(seen)
  else if (seen.local.restartAsked) {
    return verdict('primary', 'RESTARTS', {
      sentence: 'restarts its PostgreSQL, as an operator asked',
      keepLease: true,
      actions: [{ kind: 'restart', as: 'primary' }],
    })
  }
  if (!record.acks) actions.push(slots)
  if (seen.local.unconfigured && record.state === 'open') actions.push({ kind: 'configure' })
  return verdict('primary', 'HOLDS_LEASE', {
    sentence: `primary of epoch ${record.epoch}, timeline ${seen.local.instance.timeline ?? '?'}`,
    keepLease: true,
    actions,
  })
}

/** In a pause it lets go, once the others know that; out of it, it holds a deadline. */
function guardOf({ local, store }: Snapshot, record: EpochRecord): Action | undefined {
  if (!store.paused) return local.guard === 'idle' ? { kind: 'arm-guard' } : undefined
  return local.guard === 'armed' && record.isUnfenced === true ? { kind: 'release-guard' } : undefined
}

/** A switchover was asked for: hand over to the named or to the best candidate, or say why not and go on. */
function answerRequest(seen: Snapshot): ReturnType<StanceRule> {
  const record = present(seen.store.record, 'record of a primary')
  const request = present(seen.store.request, 'switchover request')
  if (seen.local.job === 'hand-over') {
    return verdict('primary', 'SWITCHOVER', { sentence: 'hands over', keepLease: true })
  }
  if (request.isUnreadable || (request.from !== undefined && request.from !== seen.self)) {
    return verdict('primary', 'HOLDS_LEASE', {
      sentence: `stays primary: the switchover was asked of ${request.from ?? 'nobody that it names'}`,
      keepLease: true,
      actions: [{ kind: 'clear-request', revision: request.revision }],
    })
  }
  const verdicts = judgeCandidates(seen, record, 'hand-over')
  const chosen = request.to === undefined ? verdicts[0] : verdicts.find(({ name }) => name === request.to)
  if (chosen?.kind === 'eligible') {
    return verdict('primary', 'SWITCHOVER', {
      sentence: `hands over to ${chosen.name}`,
      keepLease: true,
      actions: [{ kind: 'hand-over', to: chosen.name, reason: 'SWITCHOVER' }],
    })
  }
  const why = chosen ? `${chosen.name} ${chosen.why}` : `${request.to ?? 'any other member'} is not known`
  return verdict('primary', 'HOLDS_LEASE', {
    sentence: `stays primary, the switchover is refused: ${why}`,
    keepLease: true,
    actions: [{ kind: 'clear-request', revision: request.revision }],
  })
}

/**
 * Authorised and still a standby: promote. A standby on a timeline that it began itself: a stranger started the directory; start it
 * again as primary.
 */
export const becomePrimary: StanceRule = (seen) => {
  const record = seen.store.record
  if (!record || !isHolder(seen) || !isRunningAs(seen, 'standby') || !isHeld(record)) return undefined
  const unwatched = leaveUnwatched(seen, record)
  if (unwatched) return unwatched
  const say = { sentence: `becomes primary of epoch ${record.epoch}`, keepLease: true }
  if (!isLeaseProven(seen)) return verdict('becoming-primary', 'AUTHORISED', say)
  const isBegun = hasBegunTimeline(seen, seen.local.instance.timeline)
  const action: Action =
    record.state === 'authorised' && !isBegun ? { kind: 'promote', epoch: record.epoch } : { kind: 'stop' }
  return verdict('becoming-primary', 'AUTHORISED', { ...say, actions: [action] })
}

/**
 * The holder's PostgreSQL is down. If it crashed while the cluster was alive, a standby takes over (unless the operator
 * wants it restarted in place first); from cold, the holder of the newest epoch opens again (safety.md 29a).
 */
export const reviveOrRelease: StanceRule = (seen) => {
  const record = seen.store.record
  if (!record || !isHolder(seen) || !isHeld(record) || !isInstanceDown(seen)) return undefined
  if (seen.local.directory !== 'instance') return undefined
  if (seen.store.paused && !seen.local.restartAsked) {
    return verdict('waiting', 'PAUSED', {
      sentence: 'its PostgreSQL is down, and the cluster is paused: starts it when that is over',
      keepLease: true,
    })
  }
  const unwatched = leaveUnwatched(seen, record)
  if (record.acks && mayLeave(seen)) {
    const left = leaveToOthers(seen, record)
    if (left) return left
  }
  const unheard = seen.members.some(
    (name) => name !== seen.self && !seen.peers.some((peer) => peer.name === name),
  )
  if (!seen.local.provedLease && unheard && seen.agentUptimeMs < PEERS_HEARD_MS) {
    return verdict('waiting', 'AWAITS_PEERS', {
      sentence: 'holds the newest epoch, listens for the others before it opens',
    })
  }
  if (!seen.local.stoppedWal) {
    // The lease is not kept meanwhile: with WAL that cannot be read to its end, another member has to go on.
    return verdict('waiting', 'BUSY', { sentence: 'looks for the end of its WAL' })
  }
  // Held against the real end of its WAL, which it knows, not against the position published last.
  const known = { ...record, position: seen.local.stoppedWal.endLsn }
  const heir = record.acks ? undefined : eligibleCandidates(seen, known)[0]
  if (heir && (unwatched || shouldRelease(seen, heir.witnessed))) {
    return verdict('waiting', 'CRASHED', {
      sentence: `its PostgreSQL crashed: leaves epoch ${record.epoch} to ${heir.name}`,
      actions: [{ kind: 'release', reason: 'PRIMARY_CRASHED' }],
    })
  }
  if (!heir && !record.acks && mayYetHaveHeir(seen)) {
    return verdict('waiting', 'AWAITS_PEERS', {
      sentence: 'its PostgreSQL crashed: waits for the others to say where they are',
      keepLease: true,
    })
  }
  if (unwatched) return unwatched
  const isReady = isLeaseProven(seen) && seen.local.guard !== 'absent' && seen.takenAt >= seen.local.retryAt
  // Order: an authorised epoch has to begin its own timeline, so it starts as a standby and is promoted, once: promoted again,
  // a timeline that nobody knows of would lie between the history and what is opened.
  const isBegun = hasBegunTimeline(seen, seen.local.stoppedWal.timeline)
  const as = record.state === 'authorised' && !isBegun ? 'standby' : 'primary'
  return verdict('becoming-primary', 'RESUMES_OWN_EPOCH', {
    sentence: `starts its PostgreSQL again in epoch ${record.epoch}`,
    keepLease: true,
    actions: isReady ? [{ kind: 'start', as }] : [],
  })
}

/** Without its watchdog it must not be primary: its lease is left to run out, and another member goes on. */
function leaveUnwatched(seen: Snapshot, record: EpochRecord): Verdict | undefined {
  const obstacle = watchdogObstacle(seen.local.watchdog)
  if (obstacle === undefined || seen.local.job === 'promote') return undefined
  return verdict(isRunningAs(seen, 'standby') ? 'standby' : 'waiting', 'NOT_ELIGIBLE', {
    sentence: `leaves epoch ${record.epoch} to others: ${obstacle}`,
  })
}

/** Its promotion in this epoch was complete, only nobody was told: the WAL is on the timeline that the epoch was given. */
function hasBegunTimeline(seen: Snapshot, timeline: number | undefined): boolean {
  const { record } = seen.store
  return (
    record?.state === 'authorised' &&
    seen.local.promotedInEpoch === record.epoch &&
    timeline !== undefined &&
    timeline === record.givenTimeline
  )
}

/**
 * Crash recovery can take longer than a lease. Without this the guard would kill every recovery in its middle, and the
 * next one would begin anew.
 */
export const keepWhileStarting: StanceRule = (seen) => {
  const record = seen.store.record
  if (!record || !isHolder(seen) || !isHeld(record)) return undefined
  const { instance, job } = seen.local
  const isComingUp =
    instance.state === 'starting' || job === 'start' || job === 'promote' || job === 'initialise'
  if (job === 'hand-over' && !isRunningAs(seen, 'primary')) {
    // A shutdown that outlives the lease would be ended by the guard, and the planned move would lose data.
    return verdict('waiting', 'SWITCHOVER', { sentence: 'hands over', keepLease: true })
  }
  if (job === 'restart' && !isRunningAs(seen, 'primary')) {
    return verdict('becoming-primary', 'RESTARTS', { sentence: 'restarts its PostgreSQL', keepLease: true })
  }
  if (!isComingUp) return undefined
  return verdict('becoming-primary', 'RESUMES_OWN_EPOCH', {
    sentence: `waits for its PostgreSQL to come up in epoch ${record.epoch}`,
    keepLease: true,
  })
}

/**
 * Under load the positions that were heard before the crash are megabytes old. A standby that streamed to the end is asked
 * once more, before it is passed over for lagging.
 */
function mayYetHaveHeir(seen: Snapshot): boolean {
  const { crashedAt } = seen.local
  if (crashedAt === undefined || seen.takenAt - crashedAt >= POSITIONS_HEARD_MS) return false
  return seen.peers.some(
    (peer) =>
      isHeard(seen, peer) &&
      peer.facts.instance.state === 'running' &&
      peer.facts.instance.role === 'standby' &&
      !peer.facts.stopping,
  )
}

function shouldRelease(seen: Snapshot, heirWitnessed: boolean): boolean {
  if (mayLeave(seen)) return true
  const { crashedAt, provedLease } = seen.local
  if (crashedAt !== undefined && provedLease) return false
  // A new life of this agent: only the others know whether the cluster went on without it.
  return !provedLease && heirWitnessed && seen.policy.primaryStartTimeoutMs === 0
}

/** It does not start, or it crashed while this agent held the lease and has had its time to come up again in place. */
function mayLeave(seen: Snapshot): boolean {
  if (seen.local.startFailures >= START_FAILURES_MAX) return true
  const { crashedAt, provedLease } = seen.local
  if (crashedAt === undefined || !provedLease) return false
  return seen.takenAt - crashedAt >= seen.policy.primaryStartTimeoutMs
}

/** It gave its right up and nobody came: with the most WAL of all it takes it back rather than leave the cluster closed. */
export const takeBackOwnRelease: StanceRule = (seen) => {
  const record = seen.store.record
  if (!record || !isHolder(seen) || record.state !== 'released') return undefined
  const waited = seen.takenAt - seen.store.firstSeenAt
  if (waited < 2 * seen.policy.handoverTtlMs || seen.local.directory !== 'instance') {
    return verdict('waiting', 'RELEASED', {
      sentence: `gave epoch ${record.epoch} up, waits for the next holder`,
    })
  }
  return verdict('becoming-primary', 'TAKES_OVER', {
    sentence: `takes epoch ${record.epoch + 1} itself: nobody took what it released`,
    actions: [
      {
        kind: 'take-over',
        epoch: record.epoch + 1,
        revision: seen.store.recordRevision,
        reason: record.release?.reason ?? 'PRIMARY_STOPPED',
        ...(record.acks ? afterRelease(seen) : {}),
      },
    ],
  })
}
