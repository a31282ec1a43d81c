import type { ClassifierCounts } from '../../sql/classifier.ts'
import type { Reason, Verdict, VerdictKind } from '../../sql/verdict.ts'

/** How the split judges, for people: SHOW CLASSIFIER. */
export type SplitReport = {
  /** Absent while the grammar is being loaded. */
  readonly cache: (ClassifierCounts & { readonly parseTimeMs: number }) | undefined
  /** Fingerprints that a replica has refused. */
  readonly refusedByReplicas: number
  readonly statements: ReadonlyMap<VerdictKind, ReadonlyMap<Reason, number>>
  /** Of those in the cache, by the verdict that each had last. */
  readonly fingerprints: ReadonlyMap<Reason, number>
}

/** Statements by what was judged of them. */
export class SplitCounts {
  readonly statements = new Map<VerdictKind, Map<Reason, number>>()

  judged({ kind, reason }: Pick<Verdict, 'kind' | 'reason'>): void {
    const known = this.statements.get(kind)
    if (known) known.set(reason, (known.get(reason) ?? 0) + 1)
    else this.statements.set(kind, new Map([[reason, 1]]))
  }
}
