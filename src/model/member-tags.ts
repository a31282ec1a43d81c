import { watchdogObstacle, type WatchdogFacts } from './watchdog.ts'

/** What an operator has said about a node, in Patroni's words. */
export type MemberTags = {
  /** Never becomes primary by itself, nor by a switchover. */
  readonly nofailover?: true
  /** Among members that have the same WAL the one with the highest goes first. */
  readonly failover_priority?: number
  /** Gets no reads from routers, and its `/replica` says 503. */
  readonly noloadbalance?: true
  /** No commit waits for it. */
  readonly nosync?: true
}

/** An operator took the member out of service while the cluster runs (`pg-metako hold`). */
export type HeldSince = {
  /** RFC 3339. */
  readonly since: string
  readonly reason?: string
}

const PRIORITY_DEFAULT = 1

export function priorityOf(tags: MemberTags | undefined): number {
  return tags?.failover_priority ?? PRIORITY_DEFAULT
}

/** Why a member must not become primary, for what its host and its operator say of it. */
export function leadObstacle(member: {
  readonly watchdog?: WatchdogFacts | undefined
  readonly tags?: MemberTags | undefined
}): string | undefined {
  if (member.tags?.nofailover) return 'is tagged nofailover'
  return watchdogObstacle(member.watchdog)
}

/** Whatever else is true of this member, no commit waits for it: its operator said so. */
export function isNeverCounted(tags: MemberTags | undefined): boolean {
  return tags?.nosync === true || tags?.nofailover === true
}

/**
 * Commits may wait for it. Who cannot become primary must not have a commit that nobody else has (safety.md 11): it could not be taken
 * over from by anybody.
 */
export function mayAcknowledge(member: Parameters<typeof leadObstacle>[0]): boolean {
  return !member.tags?.nosync && leadObstacle(member) === undefined
}
