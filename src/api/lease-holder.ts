import type { ClusterView, MemberView } from '../model/cluster-view.ts'
import { lagBytes, parseLsn, type Lsn } from '../model/lsn.ts'

/** Who holds the lease, while it is proven; `undefined` before the first bootstrap, after a release, past the end. */
export function leaseHolder(view: ClusterView): string | undefined {
  if (!view.record || view.record.state === 'released' || view.leaseRemainingMs <= 0) return undefined
  return view.record.holder
}

/** This agent holds a lease that has not run out. Says nothing about whether PostgreSQL has finished its promotion. */
export function holdsLease(view: ClusterView): boolean {
  return leaseHolder(view) === view.self
}

export function ownMember(view: ClusterView): MemberView | undefined {
  return view.members.find((member) => member.facts.name === view.self)
}

/** The furthest position of the primary that anybody has told us of: the record's, or its own heartbeat's. */
export function primaryPosition(view: ClusterView): Lsn | undefined {
  const holder = view.members.find((member) => member.facts.name === view.record?.holder)
  const told = holder?.facts.instance.role === 'primary' ? holder.facts.instance.flushLsn : undefined
  const positions = [view.record?.position, told].flatMap((text) => {
    const lsn = text === undefined ? undefined : parseLsn(text)
    return lsn === undefined ? [] : [lsn]
  })
  return positions.length === 0 ? undefined : positions.reduce((left, right) => (left > right ? left : right))
}

/** Bytes from a member's position to the primary's; `undefined` when either is unknown. */
export function bytesBehind(primary: Lsn | undefined, position: string | undefined): number | undefined {
  const own = position === undefined ? undefined : parseLsn(position)
  return primary === undefined || own === undefined ? undefined : lagBytes(own, primary)
}

/**
 * Whether commits wait for this member, and in which way: `sync` for the first of those that are named, `quorum` for any. `undefined` for
 * the holder itself, and where commits wait for nobody.
 */
export function ackPart(view: ClusterView, name: string): 'sync' | 'quorum' | undefined {
  const { rule } = view.record?.acks?.at(-1) ?? {}
  if (!rule || rule.k === 0 || !rule.members.some((member) => member.name === name)) return undefined
  if (name === leaseHolder(view)) return undefined
  const holder = view.members.find((member) => member.facts.name === view.record?.holder)
  const setting = holder?.facts.instance.synchronousNames ?? ''
  return /^\s*any/i.test(setting) ? 'quorum' : 'sync'
}
