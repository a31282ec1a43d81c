import { memberOfWalName, walNameOf } from '../model/ack-rule.ts'
import type {
  ClusterView,
  Finding,
  LossReport,
  MemberView,
  PortTotals,
  StreamView,
} from '../model/cluster-view.ts'
import type { EpochRecord } from '../model/epoch-record.ts'
import { lagBytes, LSN_NONE, parseLsn } from '../model/lsn.ts'
import type { MemberFacts } from '../model/member.ts'
import type { Schedule } from '../model/schedule.ts'
import type { MonotonicMs } from '../model/time.ts'
import type { Decision } from '../ha/decision.ts'
import type { Store } from '../ha/ports.ts'
import type { PeerFacts } from '../ha/snapshot.ts'

export type ViewFacts = {
  readonly scope: string
  readonly now: MonotonicMs
  readonly takenAt: string
  readonly own: MemberFacts
  readonly peers: readonly PeerFacts[]
  readonly silenceLimitMs: number
  readonly record: EpochRecord | undefined
  readonly leaseUntil: MonotonicMs
  readonly store: ReturnType<Store['status']> | undefined
  readonly decision: Decision | undefined
  /** What this node waits for before consensus runs. */
  readonly waiting: string | undefined
  /** This node was removed from the cluster: what it knew before is history. */
  readonly left: { readonly at: string } | undefined
  readonly losses: readonly LossReport[]
  readonly scheduled: Schedule | undefined
  readonly queries: readonly PortTotals[]
  readonly pids: ClusterView['pids']
  readonly mode: ClusterView['mode']
}

/** Draws the cluster as this agent sees it. */
export function clusterView(facts: ViewFacts): ClusterView {
  const { record, store, own, now } = facts
  const members = [
    withLag({ facts: own, heardMsAgo: 0, reachable: true }, record),
    ...facts.peers.map((peer) => peerView(peer, facts)),
  ]
  return {
    scope: facts.scope,
    self: own.name,
    takenAt: facts.takenAt,
    members: members.toSorted((one, other) => (one.facts.name < other.facts.name ? -1 : 1)),
    streams: members.flatMap((member) => streamsFrom(member, members)),
    ...(record ? { record } : {}),
    leaseRemainingMs: Math.max(0, Math.round(facts.leaseUntil - now)),
    consensus: {
      backend: store?.backend ?? 'raft',
      hasQuorum: store?.hasQuorum ?? false,
      ...(store?.leader === undefined ? {} : { leader: store.leader }),
      term: store?.term ?? 0,
      voters: store?.voters ?? [],
    },
    stance: facts.left
      ? `was removed from the cluster on ${facts.left.at}: takes part in nothing`
      : (facts.decision?.stance.sentence ?? facts.waiting ?? 'starts'),
    findings: facts.left ? [removedFinding(own.name, facts.left.at)] : (facts.decision?.findings ?? []),
    ...(own.paused ? { paused: true } : {}),
    ...(facts.scheduled ? { scheduled: facts.scheduled } : {}),
    history: record?.chain ?? [],
    losses: facts.losses,
    queries: facts.queries,
    pids: facts.pids,
    mode: facts.mode,
  }
}

/** What a silent member said is over: its standbys may stream from another by now. */
function streamsFrom(
  { facts, reachable }: MemberView,
  members: readonly MemberView[],
): readonly StreamView[] {
  const { walSenders = [], flushLsn, state } = facts.instance
  if (!reachable || state !== 'running') return []
  const end = parseLsn(flushLsn ?? '')
  const behind = (lsn: string | undefined) => {
    const at = parseLsn(lsn ?? '')
    return at === undefined || end === undefined ? undefined : lagBytes(at, end)
  }
  // One that has connected and streams nothing yet: a standby in its first moment, or a look by doctor.
  const begun = walSenders.filter((sender) => sender.state !== 'startup')
  return begun.map((sender) => {
    const flushLagBytes = behind(sender.flushLsn)
    const replayLagBytes = behind(sender.replayLsn)
    return {
      from: facts.name,
      to: nameOfSender(sender.name, members),
      state: sender.state,
      isSync: sender.syncPriority > 0,
      ...(flushLagBytes === undefined ? {} : { flushLagBytes }),
      ...(replayLagBytes === undefined ? {} : { replayLagBytes }),
    }
  })
}

function nameOfSender(walName: string, members: readonly MemberView[]): string {
  const known = members.find(
    ({ facts: { name, incarnation } }) =>
      incarnation !== undefined && walNameOf({ name, incarnation }) === walName,
  )
  return known?.facts.name ?? memberOfWalName(walName)
}

function removedFinding(name: string, at: string): Finding {
  return {
    code: 'NODE_REMOVED',
    severity: 'critical',
    message: `${name} was removed from the cluster on ${at}; its data is kept. To take it back, on another node: pg-metako member add ${name} --api-host ADDRESS`,
  }
}

function peerView(peer: PeerFacts, facts: ViewFacts): MemberView {
  const heardMsAgo = Math.max(0, Math.round(facts.now - peer.heardAt))
  const reachable = heardMsAgo <= facts.silenceLimitMs
  return withLag({ facts: peer.facts, heardMsAgo, reachable }, facts.record)
}

function withLag(member: MemberView, record: EpochRecord | undefined): MemberView {
  const flush = parseLsn(member.facts.instance.flushLsn ?? '')
  if (!record || flush === undefined || member.facts.name === record.holder) return member
  return { ...member, lagBytes: lagBytes(flush, parseLsn(record.position) ?? LSN_NONE) }
}
