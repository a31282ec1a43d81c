import { chmodSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { canEnter, findDatabaseUser } from '../../src/platform/os-user.ts'

/** A new temporary folder that the database user can enter, also where this process is root and has a folder of its own for them. */
export function makeDatabaseFolder(prefix: string): string {
  const user = findDatabaseUser({})
  const parent = [tmpdir(), '/tmp', '/var/tmp'].find((folder) => canEnter(folder, user)) ?? tmpdir()
  const folder = mkdtempSync(join(parent, prefix))
  chmodSync(folder, 0o755)
  return folder
}
