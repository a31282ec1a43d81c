import { fs, join, type Dirent } from '../platform/disk.ts'
import type { OsUser } from '../platform/os-user.ts'
import { randomHex } from '../platform/random.ts'
import { codeOf, Fault } from '../std/fault.ts'
import { listReplaced, listSetAside, makeOwnedFolder } from './data-directory.ts'
import type { ReplicationRow } from './replication-connection.ts'

/** Where the tablespaces of a data directory's clones lie: a folder for each clone, so that an older copy keeps its own. */
function tablespaceRoot(dataDir: string): string {
  return `${dataDir}_tablespaces`
}

/** Makes a folder for each tablespace of a backup; the answer maps its oid to the folder. */
export async function makeTablespaceFolders(
  parts: readonly ReplicationRow[],
  options: { dataDir: string; folder: string; owner: OsUser | undefined },
): Promise<ReadonlyMap<string, string>> {
  const { dataDir, folder, owner } = options
  const folders = new Map<string, string>()
  const home = join(tablespaceRoot(dataDir), randomHex(4))
  for (const { spcoid, spclocation } of parts) {
    if (typeof spcoid !== 'string' || typeof spclocation !== 'string' || spclocation === '') continue
    if (!/^\d+$/.test(spcoid)) {
      throw new Fault(
        'REPLICATION_PROTOCOL',
        `Cannot take the base backup: the server sent tablespace "${spcoid}"`,
      )
    }
    if (!spclocation.startsWith('/')) {
      // Within the data directory itself (allow_in_place_tablespaces): no link to make.
      folders.set(spcoid, join(folder, 'pg_tblspc', spcoid))
      continue
    }
    await makeOwnedFolder(home, owner)
    const path = join(home, spcoid)
    await fs.mkdir(path, { mode: 0o700 })
    if (owner) await fs.chown(path, owner.uid, owner.gid)
    folders.set(spcoid, path)
  }
  return folders
}

/**
 * Deletes directories that were renamed aside and replaced, but for the newest `keep`, with the tablespaces that only they link to.
 * Returns what was deleted. Order: asked for only when another copy is known to be good.
 */
export async function removeSetAside(dataDir: string, keep: number): Promise<readonly string[]> {
  const doomed = (await listReplaced(dataDir)).slice(Math.max(0, keep))
  for (const folder of doomed) await fs.rm(folder, { recursive: true, force: true })
  if (doomed.length > 0) await sweepTablespaces(dataDir)
  return doomed
}

/** Deletes tablespace folders that neither the data directory nor a copy set aside links to: what clones that were cut off left. */
export async function sweepTablespaces(dataDir: string): Promise<void> {
  const root = tablespaceRoot(dataDir)
  const homes = await fs.readdir(root).catch(() => [])
  if (homes.length === 0) return
  const linked = new Set<string>()
  for (const folder of [dataDir, ...(await listSetAside(dataDir))]) {
    const tablespaces = join(folder, 'pg_tblspc')
    for (const entry of await entriesOf(tablespaces)) {
      if (entry.isSymbolicLink()) linked.add(await fs.readlink(join(tablespaces, entry.name)))
    }
  }
  for (const home of homes) {
    const isLinked = [...linked].some((target) => target.startsWith(`${join(root, home)}/`))
    if (!isLinked) await fs.rm(join(root, home), { recursive: true, force: true })
  }
}

/** Only what does not exist counts as empty: a folder that we cannot read may hold the links that keep a tablespace. */
async function entriesOf(folder: string): Promise<readonly Dirent[]> {
  try {
    return await fs.readdir(folder, { withFileTypes: true })
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return []
    throw error
  }
}
