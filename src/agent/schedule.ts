import type { ScheduleOutcome, ScheduleWish, UnscheduleOutcome } from '../api/ports.ts'
import type { Keys } from '../ha/keys.ts'
import type { Store } from '../ha/ports.ts'
import type { Snapshot } from '../ha/snapshot.ts'
import { isObject } from '../model/dynamic-config.ts'
import { lifeOf, type MemberFacts } from '../model/member.ts'
import type { Schedule, ScheduledRestart, ScheduledSwitchover } from '../model/schedule.ts'
import { whereGiven } from '../std/where-given.ts'
import { refused } from './refused.ts'
import { takeBack } from './take-back.ts'

const WRITE_MS = 3000

export type ScheduleDeps = {
  readonly store: Store
  readonly keys: Keys
  readonly seen: () => Snapshot | undefined
  readonly own: () => MemberFacts
}

/** Keeps an order until its time has come. A switchover takes the place of another; of a restart there is one for each member. */
export async function schedule(deps: ScheduleDeps, wish: ScheduleWish): Promise<ScheduleOutcome> {
  const { store, keys, own } = deps
  const seen = deps.seen()
  if (!seen?.store.hasQuorum) return refused('NO_QUORUM', 'No majority of voters answers')
  if (seen.store.paused) return refused('PAUSED', 'The cluster is paused')
  if (wish.kind === 'switchover') {
    const { at, from, to } = wish
    const order: ScheduledSwitchover = { at, from, ...whereGiven('to', to) }
    await store.transact(
      {
        compares: [],
        operations: [{ kind: 'put', key: keys.scheduledSwitchover, value: JSON.stringify(order) }],
      },
      { deadlineMs: WRITE_MS },
    )
    return { kind: 'scheduled' }
  }
  const { at, role, onlyPending, version } = wish
  const { name, instance } = own()
  const order: ScheduledRestart = {
    at,
    ...whereGiven('life', lifeOf(instance)),
    ...whereGiven('role', role),
    ...whereGiven('onlyPending', onlyPending),
    ...whereGiven('version', version),
  }
  const key = keys.scheduledRestart(name)
  const { succeeded } = await store.transact(
    {
      compares: [{ kind: 'mod', key, revision: 0 }],
      operations: [{ kind: 'put', key, value: JSON.stringify(order) }],
    },
    { deadlineMs: WRITE_MS },
  )
  return succeeded ? { kind: 'scheduled' } : refused('EXISTS', 'Another restart is scheduled')
}

/** Calls an order off: the switchover, or the restart of this member. */
export async function unschedule(
  { store, keys, own, seen }: ScheduleDeps,
  what: ScheduleWish['kind'],
): Promise<UnscheduleOutcome> {
  if (!seen()?.store.hasQuorum) return refused('NO_QUORUM', 'No majority of voters answers')
  const key = what === 'switchover' ? keys.scheduledSwitchover : keys.scheduledRestart(own().name)
  const became = await takeBack(store, key, WRITE_MS)
  return became === 'changed' ? refused('BUSY', 'It was given or changed in this moment') : { kind: became }
}

/** All that is to be done later, as far as this node has heard; `undefined` where nothing is. */
export function scheduleOf(store: Pick<Store, 'peekPrefix'> | undefined, keys: Keys): Schedule | undefined {
  const entries = store?.peekPrefix(keys.scheduled) ?? []
  if (entries.length === 0) return undefined
  const textOf = (wanted: string) => entries.find(({ key }) => key === wanted)?.value
  const switchover = scheduledIn<ScheduledSwitchover>(textOf(keys.scheduledSwitchover))
  const restarts = entries.flatMap(({ key, value }) => {
    const order = scheduledIn<ScheduledRestart>(value)
    return order && key.startsWith(keys.scheduledRestarts)
      ? [[key.slice(keys.scheduledRestarts.length), order] as const]
      : []
  })
  return { ...(switchover ? { switchover } : {}), restarts: Object.fromEntries(restarts) }
}

/** As it lies in the store; `undefined` for what nobody of us wrote. */
export function scheduledIn<Order extends ScheduledSwitchover | ScheduledRestart>(
  text: string | undefined,
): Order | undefined {
  try {
    const value: unknown = JSON.parse(text ?? '')
    return isObject(value) && Number.isFinite(Date.parse(String(value['at'])))
      ? (value as unknown as Order)
      : undefined
  } catch {
    return undefined
  }
}
