import type { Store } from '../ha/ports.ts'

/**
 * Deletes what an operator left under a key. `changed`: it was replaced or taken in that moment, and stays as it is. Throws what the store
 * throws.
 */
export async function takeBack(
  store: Store,
  key: string,
  deadlineMs: number,
): Promise<'deleted' | 'none' | 'changed'> {
  // Order: read with a majority, since another member may have changed it a moment ago.
  const { entries } = await store.read(key, { deadlineMs })
  const entry = entries.find((one) => one.key === key)
  if (!entry) return 'none'
  const { succeeded } = await store.transact(
    {
      compares: [{ kind: 'mod', key, revision: entry.modRevision }],
      operations: [{ kind: 'delete', key }],
    },
    { deadlineMs },
  )
  return succeeded ? 'deleted' : 'changed'
}
