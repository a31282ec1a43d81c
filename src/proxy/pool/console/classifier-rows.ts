import type { Value } from '../../../wire/rows.ts'
import type { SplitReport } from '../../split/split-counts.ts'

/** SHOW CLASSIFIER, which is ours: what the read/write split judges, how often and why. Nothing where nobody splits. */
export function classifierRows(report: SplitReport | undefined): readonly (readonly Value[])[] {
  if (report === undefined) return []
  const { cache, refusedByReplicas, statements, fingerprints } = report
  const kinds = ['read', 'write', 'unknown'] as const
  return [
    ['cache', 'entries', cache?.entries ?? 0],
    ['cache', 'bytes', cache?.bytes ?? 0],
    ['cache', 'hits', cache?.hits ?? 0],
    ['cache', 'misses', cache?.misses ?? 0],
    ['cache', 'too_many_new', cache?.refused ?? 0],
    ['cache', 'parse_time_us', Math.round((cache?.parseTimeMs ?? 0) * 1000)],
    ['cache', 'refused_by_replicas', refusedByReplicas],
    ...kinds.map((kind): readonly Value[] => {
      const counts = [...(statements.get(kind)?.values() ?? [])]
      return ['verdict', kind, counts.reduce((sum, count) => sum + count, 0)]
    }),
    ...kinds.flatMap((kind) =>
      [...(statements.get(kind) ?? [])].map(([reason, count]): readonly Value[] => [kind, reason, count]),
    ),
    ...[...fingerprints].map(([reason, count]): readonly Value[] => ['fingerprints', reason, count]),
  ]
}
