import { bytes } from '../../std/quantity-text.ts'
import { MiB } from '../../std/units.ts'
import { error, ok, warning, type Check, type ClusterFacts, type Judgement } from '../diagnosis.ts'

/** What the alert of the original watches. */
const LAG_MAX_BYTES = 10 * MiB

export const replicas: Check<ClusterFacts> = {
  name: 'replicas',
  about: 'there is a primary, every standby streams from it, replays, and is near',
  judge: ({ view }) => {
    const { record } = view
    const primary = view.members.find(
      ({ facts: { instance }, reachable }) =>
        reachable && instance.state === 'running' && instance.role === 'primary',
    )
    const standing: readonly Judgement[] =
      record?.state === 'open' && primary?.facts.name === record.holder
        ? [ok('PRIMARY', `${record.holder} is the primary of epoch ${record.epoch}`)]
        : [
            error(
              'NO_PRIMARY',
              record
                ? `no primary takes writes: epoch ${record.epoch} of ${record.holder} is ${record.state}`
                : 'the cluster was not created yet',
              'Ask why: pg-metako why',
            ),
          ]
    return [...standing, ...view.members.flatMap((member) => standby(member, view)), ...acknowledged(view)]
  },
}

function standby(
  { facts: { name, instance }, reachable }: ClusterFacts['view']['members'][number],
  view: ClusterFacts['view'],
): readonly Judgement[] {
  if (!reachable || instance.state !== 'running' || instance.role !== 'standby') return []
  const stream = view.streams.find(({ to, state }) => to === name && state === 'streaming')
  const of = (one: Judgement): readonly Judgement[] => [{ ...one, member: name }]
  if (instance.streaming !== true)
    return of(
      error(
        'NOT_STREAMING',
        `it does not stream: what is committed now is not there`,
        `Ask why: pg-metako why ${name}; PostgreSQL says in its log what it was refused for`,
      ),
    )
  if (view.record && instance.timeline !== view.record.timeline)
    return of(
      error(
        'WRONG_TIMELINE',
        `it is on timeline ${instance.timeline}, the primary on ${view.record.timeline}`,
        `It comes back by itself; if it does not: pg-metako reinit ${name}`,
      ),
    )
  if (instance.walReplayPaused === true)
    return of(
      warning(
        'REPLAY_PAUSED',
        `its replay is paused: it shows old data, and a promotion would take long`,
        'There: select pg_wal_replay_resume()',
      ),
    )
  const { flushLagBytes = 0, replayLagBytes = 0 } = stream ?? {}
  if (flushLagBytes >= LAG_MAX_BYTES || replayLagBytes >= LAG_MAX_BYTES)
    return of(
      warning(
        'LAGS',
        `it is behind: ${bytes(flushLagBytes)} are not on its disk, ${bytes(replayLagBytes)} not replayed`,
        'See whether its disk or the network between them is the limit (iostat, sar -n DEV), or a long query on it holds replay up',
      ),
    )
  return of(
    ok('STREAMS', `it streams, ${bytes(flushLagBytes)} behind, ${bytes(replayLagBytes)} not replayed`),
  )
}

/** By the rule in the record: whether a commit can be lost with one disk. */
function acknowledged({ record, members }: ClusterFacts['view']): readonly Judgement[] {
  const rule = record?.acks?.at(-1)?.rule
  if (!rule || rule.k > 0 || members.length < 2) return []
  return [
    error(
      'COMMITS_UNPROTECTED',
      'no standby has what is committed now: the loss of the primary loses it',
      'Bring a standby back: pg-metako why tells what each of them waits for',
    ),
  ]
}
