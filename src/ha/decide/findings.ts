import type { Finding } from '../../model/cluster-view.ts'
import type { PeerFacts, Snapshot } from '../snapshot.ts'
import { wantedK } from './acks.ts'
import { isHeard, isHolder, isRunningAs } from './stance.ts'
import { canWrite, describeTrouble, heirOf, whyStepDown } from './step-down.ts'
import { isHolderUnfenced } from './unfenced.ts'

/** Independent checks for people and alerts. None of them stops an action. */
export function findAll(seen: Snapshot): readonly Finding[] {
  return checks.flatMap((check) => check(seen) ?? [])
}

type Check = (seen: Snapshot) => Finding | undefined

const noQuorum: Check = (seen) =>
  seen.store.hasQuorum
    ? undefined
    : {
        code: 'NO_QUORUM',
        severity: 'critical',
        message: 'No majority of voters answers: nothing can be changed or taken over',
      }

const guardAbsent: Check = (seen) =>
  !seen.local.managed || seen.local.guard !== 'absent'
    ? undefined
    : {
        code: 'GUARD_ABSENT',
        severity: 'warning',
        message: `The guard of ${seen.self} is not running: it is started again; until then this node takes nothing over`,
      }

const watchdogUnusable: Check = (seen) => {
  const { watchdog, managed } = seen.local
  if (!managed || !watchdog || watchdog.state === 'armed' || watchdog.state === 'usable') return undefined
  const { mode, state, why = 'nothing is known of it' } = watchdog
  const follows =
    mode === 'required'
      ? isRunningAs(seen, 'primary')
        ? 'it is primary without it: move it by a switchover'
        : 'this node does not become primary'
      : 'the guard alone fences'
  return {
    code: 'WATCHDOG_UNUSABLE',
    severity: mode === 'required' ? 'critical' : 'warning',
    message: `The watchdog of ${seen.self} is ${state}: ${why}; ${follows}`,
  }
}

const holderUnfenced: Check = (seen) => {
  const { record } = seen.store
  if (!record || seen.store.paused || !isHolderUnfenced(seen, record)) return undefined
  return {
    code: 'HOLDER_UNFENCED',
    severity: 'critical',
    message: `Nobody takes over from ${record.holder}: nothing could have ended its PostgreSQL when it was heard last, so that PostgreSQL may still write. Start its agent again; or, when its PostgreSQL is down for sure: pg-metako confirm-down ${record.holder}`,
  }
}

const paused: Check = (seen) =>
  seen.store.paused
    ? {
        code: 'PAUSED',
        severity: 'warning',
        message:
          'The cluster is paused: nobody takes over, and what stops stays down. To go on: pg-metako resume',
      }
    : undefined

const silentMembers: Check = (seen) => {
  const silent = seen.members.filter((name) => {
    if (name === seen.self) return false
    const peer = seen.peers.find((one) => one.name === name)
    return !peer || !isHeard(seen, peer)
  })
  if (silent.length === 0) return undefined
  return { code: 'MEMBER_SILENT', severity: 'warning', message: `Not heard: ${silent.join(', ')}` }
}

const noStandbyStreams: Check = (seen) => {
  if (!isHolder(seen) || seen.local.instance.role !== 'primary' || seen.members.length === 1) return undefined
  if ((seen.local.instance.walSenders ?? []).some(({ state }) => state === 'streaming')) return undefined
  return {
    code: 'NO_STANDBY_STREAMS',
    severity: 'warning',
    message: 'No standby streams from the primary: its death now would lose what was not replicated',
  }
}

/** Commits that wait for nobody, or for ever: what an operator of a synchronous mode has to know first. */
const noAcknowledgers: Check = (seen) => {
  const link = seen.store.record?.acks?.at(-1)
  if (!link || !isHolder(seen) || !isRunningAs(seen, 'primary') || link.rule.k > 0) return undefined
  return seen.policy.acks?.isStrict
    ? {
        code: 'COMMITS_WAIT',
        severity: 'critical',
        message:
          'Commits wait: no standby streams, and replication.synchronous_mode_strict lets them wait until one does',
      }
    : {
        code: 'COMMITS_UNPROTECTED',
        severity: 'critical',
        message: `No standby has what is committed now: until one streams, only ${seen.self} itself can go on after a failure`,
      }
}

const primaryClosed: Check = (seen) => {
  const { rule } = seen.store.record?.acks?.at(-1) ?? {}
  if (!rule || seen.local.isClosed !== true || !isRunningAs(seen, 'primary')) return undefined
  const names = rule.members.map(({ name }) => name).join(', ')
  return {
    code: 'PRIMARY_CLOSED',
    severity: 'critical',
    message: `${seen.self} came up again and routers lead nobody there yet: what it recovered has to be on ${rule.k} of ${names} first`,
  }
}

/** Fewer standbys than were asked for have each commit. */
const fewAcknowledgers: Check = (seen) => {
  const link = seen.store.record?.acks?.at(-1)
  if (!link || !isHolder(seen) || link.rule.k === 0 || link.rule.k >= wantedK(seen)) return undefined
  return {
    code: 'FEW_ACKNOWLEDGERS',
    severity: 'warning',
    message: `Each commit is on ${link.rule.k} standby, ${wantedK(seen)} are wanted`,
  }
}

/** It cannot write, and it stays: nobody is better. */
const writePathBlocked: Check = (seen) => {
  const { record } = seen.store
  const reason = whyStepDown(seen)
  if (!record || !reason || !isHolder(seen) || heirOf(seen, record) !== undefined) return undefined
  const others = seen.peers
    .filter(({ name }) => seen.members.includes(name))
    .map((peer) => `${peer.name} ${describeWritePath(seen, peer)}`)
  return {
    code: reason,
    severity: 'critical',
    message: `${seen.self} cannot write: ${describeTrouble(seen, reason)}. It stays primary, since nobody is known to be better: ${others.join(', ') || 'there is no other member'}`,
  }
}

function describeWritePath(seen: Snapshot, peer: PeerFacts): string {
  const { state = 'unknown' } = peer.facts.writePath ?? {}
  switch (state) {
    case 'good':
      return canWrite(seen, peer) ? 'can write, but may not take over' : 'has said nothing for a moment'
    case 'slow':
      return 'writes slowly'
    case 'stalled':
      return 'stalls too'
    case 'full':
      return 'has no room'
    case 'no-slot':
    case 'unknown':
      return 'does not say'
  }
}

/** Whoever takes all connections keeps the agent out as well: that is no reason to take over, the next primary would be filled too. */
const noSlots: Check = (seen) =>
  seen.local.writePath?.state !== 'no-slot'
    ? undefined
    : {
        code: 'NO_CONNECTION_SLOTS',
        severity: 'critical',
        message: `PostgreSQL of ${seen.self} has no connection slot left, not even a reserved one: whether it can write is not known. Nobody takes over because of this; end sessions, or raise max_connections`,
      }

/** A clone of much data takes long, and what would spare it is known. */
const clonedForLackOfRewind: Check = (seen) => {
  const { job, rewindFailure, rewindObstacle, instance } = seen.local
  const why = rewindFailure?.why ?? (job === 'clone' ? rewindObstacle : undefined)
  if (why === undefined || instance.state === 'running') return undefined
  return {
    code: 'NOT_REWOUND',
    severity: 'warning',
    message: `${seen.self} comes back by a clone, since it cannot be rewound: ${why}`,
  }
}

const trouble: Check = (seen) =>
  seen.local.instance.trouble === undefined
    ? undefined
    : { code: 'INSTANCE_TROUBLE', severity: 'warning', message: seen.local.instance.trouble }

const checks: readonly Check[] = [
  noQuorum,
  guardAbsent,
  watchdogUnusable,
  paused,
  holderUnfenced,
  silentMembers,
  noStandbyStreams,
  noAcknowledgers,
  fewAcknowledgers,
  primaryClosed,
  clonedForLackOfRewind,
  writePathBlocked,
  noSlots,
  trouble,
]
