import type { RestartOutcome, RestartWish } from '../api/ports.ts'
import { isHeard } from '../ha/decide/stance.ts'
import { pauseOn } from '../ha/pause-on.ts'
import type { Keys } from '../ha/keys.ts'
import type { Clock, Store } from '../ha/ports.ts'
import type { RestartOrder, Snapshot } from '../ha/snapshot.ts'
import { lifeOf, type MemberFacts } from '../model/member.ts'
import { refused } from './refused.ts'

const ORDER_MS = 3000
const LOOK_EVERY_MS = 50

export type RestartDeps = {
  readonly clock: Clock
  readonly store: Store
  readonly keys: Keys
  /** The newest snapshot of this agent, and what its own node says of itself. */
  readonly seen: () => Snapshot | undefined
  readonly own: () => MemberFacts
}

/**
 * Has the PostgreSQL of a member started anew, from any node. The order names the life that it means, so it is carried out once; the
 * member looks for itself when it can be. Answers when another life of it runs, or says what became of it.
 */
export async function requestRestart(
  deps: RestartDeps,
  wish: RestartWish,
  deadlineMs: number,
): Promise<RestartOutcome> {
  const { clock, store, keys } = deps
  const { name } = wish
  const seen = deps.seen()
  if (!seen?.store.hasQuorum) return refused('NO_QUORUM', 'No majority of voters answers')
  if (!seen.members.includes(name))
    return refused('UNKNOWN', `There is no member "${name}": the members are ${seen.members.join(', ')}`)
  if (seen.store.record?.state !== 'open') return refused('TAKE_OVER', 'The cluster has no primary now')
  const facts = factsOf(deps, name)
  const life = facts && lifeOf(facts.instance)
  if (!facts || life === undefined)
    return refused(
      'HAS_NO_DATA',
      `"${name}" was not heard, or its PostgreSQL neither runs nor lies there stopped`,
    )
  const why = whyNotMeant(facts, wish)
  if (why !== undefined) return refused('NOT_MEANT', `"${name}" is not restarted: ${why}`)
  const startedAt = clock.monotonic()
  const order: RestartOrder = { life }
  await store.transact(
    { compares: [], operations: [{ kind: 'put', key: keys.restart(name), value: JSON.stringify(order) }] },
    { deadlineMs: ORDER_MS },
  )
  for (;;) {
    const tookMs = Math.round(clock.monotonic() - startedAt)
    const { instance } = factsOf(deps, name) ?? {}
    const now = instance && lifeOf(instance)
    if (instance?.state === 'running' && now !== undefined && now !== life)
      return { kind: 'done', name, tookMs }
    if (tookMs >= deadlineMs) {
      const trouble = instance?.trouble === undefined ? '' : ` (${instance.trouble})`
      return {
        kind: 'unknown',
        message: `"${name}" has not come up again after ${tookMs} ms; it may still${trouble}`,
      }
    }
    await pauseOn(clock, LOOK_EVERY_MS)
  }
}

function factsOf({ seen, own }: RestartDeps, name: string): MemberFacts | undefined {
  const now = seen()
  if (name === now?.self) return own()
  const peer = now?.peers.find((one) => one.name === name)
  return peer && now && isHeard(now, peer) ? peer.facts : undefined
}

/** A condition of the order that is not met. */
export function whyNotMeant(
  { instance }: MemberFacts,
  { role, onlyPending, version }: Omit<RestartWish, 'name'>,
): string | undefined {
  const { role: isNow = 'standby', serverVersion = 0, pendingRestart = [] } = instance
  if (role !== undefined && isNow !== role) return `it is a ${isNow}, not a ${role}`
  if (onlyPending && pendingRestart.length === 0) return 'no setting waits for it'
  if (version !== undefined && serverVersion >= version) return `its PostgreSQL is not older than that`
  return undefined
}
