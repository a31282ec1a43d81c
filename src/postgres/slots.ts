import { slotNameFor } from './parameters.ts'
import type { SqlSession } from './sql-session.ts'

/**
 * Makes the physical slots of `members` on a primary and drops ours (`metako_…`) of members that are gone; slots of others are
 * left alone, and so is one in use. Returns what was changed.
 */
export async function ensureSlots(
  session: SqlSession,
  members: readonly string[],
  deadlineMs: number,
): Promise<{ readonly created: readonly string[]; readonly dropped: readonly string[] }> {
  const wanted = new Set(members.map(slotNameFor))
  const present = await session.query<{ name: string; active: boolean; lost: boolean }>(
    {
      text: `select slot_name as name, active, coalesce(wal_status = 'lost', false) as lost
             from pg_replication_slots where slot_type = 'physical' and slot_name like 'metako\\_%'`,
    },
    deadlineMs,
  )
  const dropped: string[] = []
  for (const slot of present) {
    // A slot whose WAL was recycled serves nobody any more: it is made anew.
    if (slot.active || (wanted.has(slot.name) && !slot.lost)) continue
    const text = `select pg_drop_replication_slot(slot_name) from pg_replication_slots
                  where slot_name = $1 and not active`
    await session.query({ text, values: [slot.name] }, deadlineMs)
    dropped.push(slot.name)
  }
  const kept = new Set(present.map(({ name }) => name).filter((name) => !dropped.includes(name)))
  const created = [...wanted].filter((name) => !kept.has(name))
  for (const name of created) {
    await session.query(
      { text: 'select pg_create_physical_replication_slot($1, true)', values: [name] },
      deadlineMs,
    )
  }
  return { created, dropped }
}
