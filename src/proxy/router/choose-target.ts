import type { RouteTarget, RoutingTable } from '../../model/routing-table.ts'
import type { PortName } from '../port-counters.ts'

/** What a backend connection is bound to for its life. */
export type Binding = {
  readonly target: RouteTarget
  readonly role: 'primary' | 'replica'
  /** Epoch of the table that chose it. */
  readonly epoch: number
}

export type Choice =
  | { readonly kind: 'dial'; readonly binding: Binding }
  | { readonly kind: 'wait'; readonly reason: WaitReason }

export type WaitReason = 'NO_TABLE' | 'NO_PRIMARY' | 'SWITCHOVER' | 'TABLE_EXPIRED' | 'BACKEND_UNAVAILABLE'

export type ChoiceInput = {
  readonly port: PortName
  readonly table: RoutingTable | undefined
  readonly primaryOpen: boolean
  /** Grows with every choice on the replica port: whose turn it is. */
  readonly turn: number
  /** Whether a target may be dialled now; false while it is known to refuse and somebody else is asking it. */
  readonly mayDial: (target: RouteTarget) => boolean
}

/** Primary and pooled port: the primary. Replica port: the replicas in turn, then the primary. */
export function chooseTarget(input: ChoiceInput): Choice {
  const { table } = input
  if (!table) return wait('NO_TABLE')
  if (input.port === 'replica') {
    const count = table.replicas.length
    for (let step = 0; step < count; step += 1) {
      const target = table.replicas[(input.turn + step) % count]
      if (!target || !input.mayDial(target)) continue
      return { kind: 'dial', binding: { target, role: 'replica', epoch: table.epoch } }
    }
  }
  if (!table.primary) return wait(table.holding ?? 'NO_PRIMARY')
  if (!input.primaryOpen) return wait('TABLE_EXPIRED')
  if (!input.mayDial(table.primary)) return wait('BACKEND_UNAVAILABLE')
  return { kind: 'dial', binding: { target: table.primary, role: 'primary', epoch: table.epoch } }
}

export type BindingVerdict =
  | { readonly kind: 'keep' }
  /** Its primary is about to move: the session ends as soon as nothing is in flight. */
  | { readonly kind: 'drain' }
  /** The replica has become the primary of this table: its sessions are primary sessions now. */
  | { readonly kind: 'rebind'; readonly binding: Binding }
  | { readonly kind: 'cut'; readonly reason: 'PRIMARY_CHANGED' | 'TARGET_REMOVED' }

/**
 * What a new table means for a connection that is already bound.
 * Invariant: no connection outlives its epoch as a primary's, not even to the same node.
 */
export function judgeBinding(binding: Binding, table: RoutingTable): BindingVerdict {
  if (binding.role === 'primary') {
    if (table.epoch > binding.epoch) return { kind: 'cut', reason: 'PRIMARY_CHANGED' }
    // Within one epoch there is one holder: another address means that the one we talk to is not it.
    if (table.primary && !sameTarget(table.primary, binding.target))
      return { kind: 'cut', reason: 'PRIMARY_CHANGED' }
    return { kind: table.holding === 'SWITCHOVER' ? 'drain' : 'keep' }
  }
  if (table.primary && sameTarget(table.primary, binding.target)) {
    return { kind: 'rebind', binding: { ...binding, role: 'primary', epoch: table.epoch } }
  }
  if (table.epoch <= binding.epoch) return { kind: 'keep' }
  if (!table.replicas.some((replica) => sameTarget(replica, binding.target))) {
    return { kind: 'cut', reason: 'TARGET_REMOVED' }
  }
  return { kind: 'rebind', binding: { ...binding, epoch: table.epoch } }
}

function sameTarget(one: RouteTarget, other: RouteTarget): boolean {
  return one.name === other.name && one.host === other.host && one.port === other.port
}

function wait(reason: WaitReason): Choice {
  return { kind: 'wait', reason }
}
