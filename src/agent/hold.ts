import type { HoldOutcome, HoldWish } from '../api/ports.ts'
import { databaseMembers } from '../ha/decide/stance.ts'
import type { Keys } from '../ha/keys.ts'
import { pauseOn } from '../ha/pause-on.ts'
import type { Clock, Store } from '../ha/ports.ts'
import type { Snapshot } from '../ha/snapshot.ts'
import type { HeldSince, MemberTags } from '../model/member-tags.ts'
import { plus } from '../model/time.ts'
import { refused } from './refused.ts'
import { isOnlyStandby } from './reinit.ts'

const WRITE_MS = 3000
/** A renewal of the lease comes in between now and then. */
const TRIES = 6
/** What this node has seen is as old as its last look at the cluster. */
const NEWS_MS = 1000
const LOOK_EVERY_MS = 20

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
  const key = keys.hold(name)
  await store.read(key, { deadlineMs: WRITE_MS })
  const entry = store.peek(key)
  if (!entry) return refused('NOT_HELD', `"${name}" is not held`)
  const { succeeded } = await store.transact(
    {
      compares: [{ kind: 'mod', key, revision: entry.modRevision }],
      operations: [{ kind: 'delete', key }],
    },
    { deadlineMs: WRITE_MS },
  )
  return succeeded
    ? { kind: 'done', name }
    : refused('BUSY', `Somebody else changes the hold of "${name}" at the same time`)
}

function refuse(
  seen: Snapshot | undefined,
  name: string,
): Exclude<HoldOutcome, { kind: 'done' }> | undefined {
  const record = seen?.store.record
  if (!seen?.store.hasQuorum) return refused('NO_QUORUM', 'No majority of voters answers')
  if (!seen.members.includes(name))
    return refused('UNKNOWN', `There is no member "${name}": the members are ${seen.members.join(', ')}`)
  if (!databaseMembers(seen).includes(name) || (name === seen.self && seen.local.isWitness))
    return refused('HAS_NO_DATA', `"${name}" is a witness and has no database`)
  if (record?.state !== 'open') return refused('TAKE_OVER', 'The cluster has no primary now')
  if (record.holder === name)
    return refused('IS_PRIMARY', `"${name}" is the primary`, 'First: pg-metako switchover')
  if (isOnlyStandby(seen, record.holder, name))
    return refused('IS_ONLY_STANDBY', `"${name}" is the only standby that streams, and commits wait for one`)
  return undefined
}

/** The tags of this node: those of its file, and what a hold adds. */
export class OwnTags {
  readonly #configured: MemberTags | undefined
  #note: string | undefined
  #held: HeldSince | undefined
  #tags: MemberTags | undefined

  constructor(configured: MemberTags | undefined) {
    this.#configured = configured
    this.#tags = configured
  }

  /** `note`: as it lies in the store. It hardly ever changes. */
  with(note: string | undefined): {
    readonly tags: MemberTags | undefined
    readonly held: HeldSince | undefined
  } {
    if (note !== this.#note) {
      this.#note = note
      this.#held = heldSince(note)
      this.#tags = this.#held
        ? { ...this.#configured, nofailover: true, noloadbalance: true }
        : this.#configured
    }
    return { tags: this.#tags, held: this.#held }
  }
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
