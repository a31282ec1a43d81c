import type { EstimateDocument } from '#client'
import type { CandidateVerdict } from '../ha/decide/candidates.ts'
import { judgeWaitMs, type Policy } from '../ha/policy.ts'
import { rulesOf } from '../model/ack-rule.ts'
import type { ClusterView } from '../model/cluster-view.ts'
import type { FailoverRecord } from '../model/failover-record.ts'

export type EstimateFacts = {
  readonly view: ClusterView
  readonly failovers: readonly FailoverRecord[]
  /** Judged for a hand-over, best first. */
  readonly candidates: readonly CandidateVerdict[]
  readonly policy: Policy
}

/**
 * What losing the primary would cost now: without writes for as long as the take-overs of this very cluster took, and as much lost as
 * is on no disk that its commits waited for.
 */
export function estimateOf({ view, failovers, candidates, policy }: EstimateFacts): EstimateDocument {
  const eligible = candidates.filter(({ kind }) => kind === 'eligible').map(({ name }) => name)
  const right = policy.acks ? 'revocation' : 'lease'
  const noticeMs = Math.round(
    right === 'revocation' ? policy.silenceLimitMs : judgeWaitMs(policy, policy.leaseTtlMs),
  )
  const why = obstacle(view, eligible)
  const durations = failovers
    .filter(({ reason }) => !PLANNED.has(reason))
    .flatMap(({ steps }) => steps.at(-1)?.atMs ?? [])
  const takeOverMs = medianOf(durations)
  const lossBytes = lossOf(view, eligible)
  return {
    takeover: why === undefined ? right : 'none',
    ...(why === undefined ? {} : { why }),
    ...(takeOverMs === undefined || why !== undefined
      ? {}
      : { crashMs: takeOverMs, silenceMs: noticeMs + takeOverMs }),
    noticeMs,
    measured: durations.length,
    ...(lossBytes === undefined ? {} : { lossBytes }),
    survives: survivedDisks(view),
    candidates: candidates.map((one) =>
      one.kind === 'eligible' ? { name: one.name } : { name: one.name, why: one.why },
    ),
  }
}

const PLANNED: ReadonlySet<FailoverRecord['reason']> = new Set(['BOOTSTRAP', 'SWITCHOVER', 'PRIMARY_STOPPED'])

function obstacle(
  { consensus, members, record }: ClusterView,
  eligible: readonly string[],
): string | undefined {
  if (!consensus.hasQuorum) return 'no majority of voters answers this node'
  if (!record) return 'the cluster was not created yet'
  if (members.length === 1) return 'there is no other member'
  if (eligible.length === 0) return 'no other member is fit to'
  return undefined
}

function survivedDisks({ record }: ClusterView): number {
  const link = record?.acks?.at(-1)
  return link ? Math.min(...rulesOf(link).map(({ k }) => k)) : 0
}

function lossOf(view: ClusterView, eligible: readonly string[]): number | undefined {
  if (survivedDisks(view) > 0) return 0
  const lags = view.streams.flatMap(({ to, flushLagBytes }) =>
    eligible.includes(to) && flushLagBytes !== undefined ? [flushLagBytes] : [],
  )
  return lags.length === 0 ? undefined : Math.min(...lags)
}

function medianOf(values: readonly number[]): number | undefined {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)]
}
