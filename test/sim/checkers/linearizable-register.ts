import { Violation } from './violation.ts'

const CHECKER = 'linearizable-register'

export type Operation = {
  readonly kind: 'write' | 'read'
  readonly client: string
  readonly invokedAt: number
  /** Absent: nobody told the client, the operation may have happened at any later time or never. */
  readonly completedAt?: number
  /** Of a completed one: the register's version that it made or saw. */
  readonly version?: number
}

/**
 * Every operation takes effect at one moment between its call and its answer. Versions make this simple to judge: an
 * operation that began after another had ended must see at least its version, and a write must make a newer one.
 */
export function checkLinearizable(history: readonly Operation[]): void {
  type Completed = Operation & { readonly completedAt: number; readonly version: number }
  const completed = history.filter(
    (operation): operation is Completed =>
      operation.completedAt !== undefined && operation.version !== undefined,
  )
  const byEnd = completed.toSorted((left, right) => left.completedAt - right.completedAt)
  const byStart = completed.toSorted((left, right) => left.invokedAt - right.invokedAt)
  let ended = 0
  let newest: Completed | undefined
  for (const operation of byStart) {
    for (
      let next = byEnd[ended];
      next !== undefined && next.completedAt < operation.invokedAt;
      next = byEnd[ended]
    ) {
      if (newest === undefined || next.version > newest.version) newest = next
      ended += 1
    }
    if (newest === undefined) continue
    const isTooOld =
      operation.kind === 'read' ? operation.version < newest.version : operation.version <= newest.version
    if (isTooOld) {
      throw new Violation(
        `A ${operation.kind} by ${operation.client} from ${operation.invokedAt} to ${operation.completedAt} has version ` +
          `${operation.version}, but a ${newest.kind} that ended at ${newest.completedAt} had ${newest.version}`,
        CHECKER,
      )
    }
  }
}
