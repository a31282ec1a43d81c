import { existsSync, homedir, join, readdirSync, rmdirSync, rmSync } from '../../platform/disk.ts'
import { listPids, programOf } from '../../platform/process-table.ts'
import { effectiveUid, environment } from '../../platform/process.ts'

/** Copies of PostgreSQL's binaries: version and content hash; one that was broken off begins with a dot. */
const COPY = /^\.?\d+\.\d+-[0-9a-f]{16}(\.[0-9a-f]+\.tmp)?$/

export type ClearedCache = { readonly removed: readonly string[]; readonly inUse: readonly string[] }

/** Removes the copies of PostgreSQL's binaries that agents made, except those that some PostgreSQL runs from now. */
export function clearBinaryCache(): ClearedCache {
  const root = cacheRoot()
  if (!existsSync(root)) return { removed: [], inUse: [] }
  const copies = readdirSync(root)
    .filter((name) => COPY.test(name))
    .map((name) => join(root, name))
  const programs = listPids().map(programOf)
  const isUsed = (copy: string) => programs.some((program) => program?.startsWith(`${copy}/`) ?? false)
  const inUse = copies.filter(isUsed)
  const removed = copies.filter((copy) => !inUse.includes(copy))
  for (const copy of removed) rmSync(copy, { recursive: true, force: true })
  if (removed.length > 0 && readdirSync(root).length === 0) rmdirSync(root)
  return { removed, inUse }
}

/** Where agents of this user put them: see "PG_METAKO_CACHE_DIR" in docs/reference/config.md. */
function cacheRoot(): string {
  const configured = environment()['PG_METAKO_CACHE_DIR']
  if (configured) return configured
  return effectiveUid() === 0 ? '/var/cache/pg-metako' : join(homedir(), '.cache', 'pg-metako')
}
