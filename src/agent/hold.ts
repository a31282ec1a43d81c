import type { HoldOutcome, HoldWish } from '../api/ports.ts'
import { isWitness } from '../ha/decide/stance.ts'
import type { Keys } from '../ha/keys.ts'
import { pauseOn } from '../ha/pause-on.ts'
import type { Clock, Store } from '../ha/ports.ts'
import type { Snapshot } from '../ha/snapshot.ts'
import type { HeldSince, MemberTags } from '../model/member-tags.ts'
import { plus } from '../model/time.ts'
import { rememberLast } from '../std/remember-last.ts'
import { refused } from './refused.ts'
import { isOnlyStandby } from './reinit.ts'
import { takeBack } from './take-back.ts'

const WRITE_MS = 3000
/** A renewal of the lease comes in between now and then. */
const TRIES = 6
/** What this node has seen is as old as its last look at the cluster. */
const NEWS_MS = 1000
const LOOK_EVERY_MS = 20

/** Those of now, and why some of them are not in the node's file. */
export type OwnTags = { readonly tags: MemberTags | undefined; readonly held: HeldSince | undefined }

type HoldDeps = {
  readonly clock: Clock
  readonly store: Store
  readonly keys: Keys
  readonly seen: () => Snapshot | undefined
}

/**
 * Takes a standby out of service, from any node and for as long as the note lies in the store: as if its file had the tags nofailover and
 * noloadbalance. On condition of the record that names the primary: it cannot become that in between.
 */
export async function hold(deps: HoldDeps, { name, reason }: HoldWish): Promise<HoldOutcome> {
  const { clock, store, keys } = deps
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const seen = deps.seen()
    const refusal = refuse(seen, name)
    if (refusal || !seen) return refusal ?? refused('NO_QUORUM', 'Nothing is known yet')
    const since = new Date(clock.wall()).toISOString()
    const note: HeldSince = { since, ...(reason === undefined ? {} : { reason }) }
    const { recordRevision: revision } = seen.store
    const { succeeded } = await store.transact(
      {
        compares: [{ kind: 'mod', key: keys.epoch, revision }],
        operations: [{ kind: 'put', key: keys.hold(name), value: JSON.stringify(note) }],
      },
      { deadlineMs: WRITE_MS },
    )
    if (succeeded) return { kind: 'done', name }
    await awaitNews(deps, revision)
  }
  return refused('BUSY', `The record of the primary changed ${TRIES} times meanwhile`)
}

async function awaitNews({ clock, seen }: HoldDeps, revision: number): Promise<void> {
  const until = plus(clock.monotonic(), NEWS_MS)
  while (seen()?.store.recordRevision === revision && clock.monotonic() < until)
    await pauseOn(clock, LOOK_EVERY_MS)
}

export async function unhold({ store, keys, seen }: HoldDeps, name: string): Promise<HoldOutcome> {
  if (!seen()?.store.hasQuorum) return refused('NO_QUORUM', 'No majority of voters answers')
  const became = await takeBack(store, keys.hold(name), WRITE_MS)
  if (became === 'none') return refused('NOT_HELD', `"${name}" is not held`)
  if (became === 'changed')
    return refused('BUSY', `Somebody else changes the hold of "${name}" at the same time`)
  return { kind: 'done', name }
}

function refuse(
  seen: Snapshot | undefined,
  name: string,
): Exclude<HoldOutcome, { kind: 'done' }> | undefined {
  const record = seen?.store.record
  if (!seen?.store.hasQuorum) return refused('NO_QUORUM', 'No majority of voters answers')
  if (!seen.members.includes(name))
    return refused('UNKNOWN', `There is no member "${name}": the members are ${seen.members.join(', ')}`)
  if (isWitness(seen, name)) return refused('HAS_NO_DATA', `"${name}" is a witness and has no database`)
  if (record?.state !== 'open') return refused('TAKE_OVER', 'The cluster has no primary now')
  if (record.holder === name)
    return refused('IS_PRIMARY', `"${name}" is the primary`, 'First: pg-metako switchover')
  if (isOnlyStandby(seen, record.holder, name))
    return refused('IS_ONLY_STANDBY', `"${name}" is the only standby that streams, and commits wait for one`)
  return undefined
}

/** The tags of this node: those of its file, and what a hold adds. `note`: as it lies in the store; it hardly ever changes. */
export function ownTags(configured: MemberTags | undefined): (note: string | undefined) => OwnTags {
  return rememberLast((note) => {
    const held = heldSince(note)
    return { tags: held ? { ...configured, nofailover: true, noloadbalance: true } : configured, held }
  })
}

/** A note that nobody can read holds all the same: somebody wanted it. */
function heldSince(note: string | undefined): HeldSince | undefined {
  if (note === undefined) return undefined
  try {
    const { since, reason } = JSON.parse(note) as Partial<HeldSince>
    return { since: String(since), ...(typeof reason === 'string' ? { reason } : {}) }
  } catch {
    return { since: 'some time' }
  }
}
