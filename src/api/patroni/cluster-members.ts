import type { PatroniHistoryLine, PatroniMember } from '#client'
import type { ClusterView, MemberView } from '../../model/cluster-view.ts'
import type { ScheduledRestart } from '../../model/schedule.ts'
import type { Lsn } from '../../model/lsn.ts'
import { ackPart, bytesBehind, leaseHolder, primaryPosition } from '../lease-holder.ts'
import { scheduledRestart } from './schedule-time.ts'
import { positionNumber } from './status-document.ts'
import { patroniState } from './words.ts'

/** The `members` of Patroni's `GET /cluster`, sorted by name: who has a database. */
export function patroniMembers(view: ClusterView): readonly PatroniMember[] {
  const holder = leaseHolder(view)
  const primary = primaryPosition(view)
  return view.members
    .filter(({ facts }) => !facts.witness)
    .map((member) => {
      const { name } = member.facts
      const restart = view.scheduled?.restarts[name]
      return patroniMember(member, { leads: name === holder, primary, part: ackPart(view, name), restart })
    })
    .toSorted((left, right) => (left.name < right.name ? -1 : 1))
}

function patroniMember(
  member: MemberView,
  about: {
    readonly leads: boolean
    readonly primary: Lsn | undefined
    readonly part: ReturnType<typeof ackPart>
    readonly restart: ScheduledRestart | undefined
  },
): PatroniMember {
  const { facts } = member
  const { instance } = facts
  const streaming = !about.leads && instance.streaming === true
  const state = member.reachable ? (streaming ? 'streaming' : patroniState(instance.state)) : 'unknown'
  const common: PatroniMember = {
    name: facts.name,
    role: about.leads ? 'leader' : about.part ? (`${about.part}_standby` as const) : 'replica',
    state,
    // Patroni's own form: tools cut the path off to find the other routes.
    api_url: `${facts.apiUrl.replace(/\/+$/, '')}/patroni`,
    host: facts.host,
    port: facts.port,
    ...(instance.timeline === undefined ? {} : { timeline: instance.timeline }),
    ...((instance.pendingRestart?.length ?? 0) > 0 ? { pending_restart: true as const } : {}),
    ...(about.restart ? { scheduled_restart: scheduledRestart(about.restart) } : {}),
    ...(facts.tags ? { tags: facts.tags } : {}),
  }
  if (about.leads) return common
  // Facts of a member that is silent are old: a lag of then would look like a lag of now.
  const received = member.reachable ? instance.flushLsn : undefined
  const replayed = member.reachable ? instance.replayLsn : undefined
  const behind = bytesBehind(about.primary, received) ?? 'unknown'
  return {
    ...common,
    receive_lag: behind,
    receive_lsn: received ?? 'unknown',
    replay_lag: bytesBehind(about.primary, replayed) ?? 'unknown',
    replay_lsn: replayed ?? 'unknown',
    lag: behind,
    lsn: received ?? 'unknown',
  }
}

/** `GET /history`: one line for each timeline that ended, oldest first. The first timeline began nothing. */
export function patroniHistory(view: ClusterView): readonly PatroniHistoryLine[] {
  return view.history.flatMap((link, index): PatroniHistoryLine[] => {
    if (link.takeover === 'bootstrap') return []
    const ended = view.history[index - 1]?.timeline ?? link.timeline - 1
    return [[ended, positionNumber(link.forkLsn) ?? 0, link.reason, link.openedAt, link.holder]]
  })
}
