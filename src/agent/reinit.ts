import type { ReinitOutcome } from '../api/ports.ts'
import type { Keys } from '../ha/keys.ts'
import type { Store } from '../ha/ports.ts'
import type { ReinitOrder, Snapshot } from '../ha/snapshot.ts'
import { refused } from './refused.ts'

const ORDER_MS = 3000

/**
 * Leaves the order that a member clones its data anew. It names the copy that it means, so that it is carried out once, and the member
 * looks for itself when that can be done.
 */
export async function requestReinit(
  deps: { store: Store; keys: Keys; seen: Snapshot | undefined },
  name: string,
): Promise<ReinitOutcome> {
  const { store, keys, seen } = deps
  const record = seen?.store.record
  if (!seen?.store.hasQuorum) return refused('NO_QUORUM', 'No majority of voters answers')
  if (!seen.members.includes(name))
    return refused('UNKNOWN', `There is no member "${name}": the members are ${seen.members.join(', ')}`)
  if (record?.state !== 'open') return refused('TAKE_OVER', 'The cluster has no primary now')
  if (record.holder === name) {
    return refused(
      'IS_PRIMARY',
      `"${name}" is the primary: its data is what the others are cloned from`,
      'First: pg-metako switchover',
    )
  }
  const incarnation =
    name === seen.self
      ? seen.local.incarnation
      : seen.peers.find((peer) => peer.name === name)?.facts.incarnation
  if (incarnation === undefined)
    return refused(
      'HAS_NO_DATA',
      `"${name}" was not heard, or has no data: it is cloned as soon as it can be`,
    )
  if (isOnlyStandby(seen, record.holder, name))
    return refused('IS_ONLY_STANDBY', `"${name}" is the only standby that streams, and commits wait for one`)
  const order: ReinitOrder = { incarnation, epoch: record.epoch }
  await store.transact(
    { compares: [], operations: [{ kind: 'put', key: keys.reinit(name), value: JSON.stringify(order) }] },
    { deadlineMs: ORDER_MS },
  )
  return { kind: 'asked', name, from: record.holder }
}

/** Where commits wait for a standby even when there is none, it would never be let go. */
export function isOnlyStandby(
  { policy, self, local, peers }: Snapshot,
  holder: string,
  name: string,
): boolean {
  if (policy.acks?.isStrict !== true) return false
  const others = [
    { name: self, instance: local.instance },
    ...peers.map(({ facts }) => ({ name: facts.name, instance: facts.instance })),
  ]
  return !others.some((one) => one.name !== holder && one.name !== name && one.instance.streaming === true)
}
