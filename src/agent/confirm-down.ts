import type { ConfirmDownOutcome } from '../api/ports.ts'
import { isHolderUnfenced } from '../ha/decide/unfenced.ts'
import type { Keys } from '../ha/keys.ts'
import type { Store } from '../ha/ports.ts'
import type { ConfirmedDown, Snapshot } from '../ha/snapshot.ts'
import { refused } from './refused.ts'

const WRITE_MS = 3000

/**
 * Leaves an operator's word that the PostgreSQL of a silent primary does not run (safety.md 20). Taken only while the others wait for
 * it, and for the record as it was looked at: a primary that renews its lease in between is up, whatever was said.
 */
export async function confirmDown(
  deps: { store: Store; keys: Keys; seen: Snapshot | undefined },
  name: string,
): Promise<ConfirmDownOutcome> {
  const { store, keys, seen } = deps
  if (!seen?.store.hasQuorum) return refused('NO_QUORUM', 'No majority of voters answers')
  if (!seen.members.includes(name))
    return refused('UNKNOWN', `There is no member "${name}": the members are ${seen.members.join(', ')}`)
  const { record, recordRevision } = seen.store
  if (record?.holder !== name) return refused('NOT_AWAITED', `"${name}" is not the primary that was lost`)
  if (!isHolderUnfenced(seen, record)) {
    return refused(
      'NOT_AWAITED',
      `Nobody waits to be told that "${name}" is down`,
      'The others take over by themselves where they can: see "pg-metako list"',
    )
  }
  const { epoch, seq } = record
  const value = JSON.stringify({ epoch, seq } satisfies ConfirmedDown)
  const { succeeded } = await store.transact(
    {
      compares: [{ kind: 'mod', key: keys.epoch, revision: recordRevision }],
      operations: [{ kind: 'put', key: keys.confirmedDown, value }],
    },
    { deadlineMs: WRITE_MS },
  )
  if (succeeded) return { kind: 'confirmed', name, epoch }
  return refused(
    'BUSY',
    `The lease of "${name}" was renewed or taken while this was confirmed`,
    'Look at "pg-metako list"',
  )
}
