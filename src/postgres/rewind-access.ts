import type { SqlSession } from './sql-session.ts'

/** What pg_rewind asks its source for: a role that is no superuser needs to be let ("Notes" of its manual page). */
export const REWIND_FUNCTIONS = [
  'pg_catalog.pg_ls_dir(text, boolean, boolean)',
  'pg_catalog.pg_stat_file(text, boolean)',
  'pg_catalog.pg_read_binary_file(text)',
  'pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean)',
] as const

/** Lets the role of replication be the source of a rewind. It can read all of these files by a base backup already. */
export function rewindGrants(quotedRole: string, majorVersion: number): readonly string[] {
  const functions = `GRANT EXECUTE ON FUNCTION ${REWIND_FUNCTIONS.join(', ')} TO ${quotedRole}`
  return majorVersion >= 15 ? [functions, `GRANT pg_checkpoint TO ${quotedRole}`] : [functions]
}

/** Lets other members rewind from this primary, also where the cluster was made before they could. */
export async function allowRewind(
  session: SqlSession,
  options: { role: string; majorVersion: number },
  deadlineMs: number,
): Promise<void> {
  const text = `select quote_ident(rolname) as name,
      (select bool_and(has_function_privilege(rolname, name, 'execute')) from unnest($2::text[]) name) as may
    from pg_roles where rolname = $1`
  const asked = { text, values: [options.role, REWIND_FUNCTIONS] }
  const [role] = await session.query<{ name: string; may: boolean }>(asked, deadlineMs)
  if (!role || role.may) return
  for (const grant of rewindGrants(role.name, options.majorVersion))
    await session.query({ text: grant }, deadlineMs)
}
