import { randomBytes } from 'node:crypto'
import { constants, promises as fs, readdirSync, type Stats } from 'node:fs'
import { basename, dirname, join } from 'node:path'

export {
  accessSync,
  chownSync,
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  promises as fs,
  readFileSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  rmdirSync,
  statSync,
  writeFileSync,
  writeSync,
  constants as fsConstants,
  type Dirent,
  type Stats,
} from 'node:fs'
export type { FileHandle } from 'node:fs/promises'
export { basename, dirname, join, relative, resolve, sep } from 'node:path'
export { homedir } from 'node:os'
export { fileURLToPath } from 'node:url'

export type FileOwner = { readonly uid: number; readonly gid: number }

/** Names in a folder; undefined for what is none, or cannot be read. */
export function namesInFolder(path: string): readonly string[] | undefined {
  try {
    return readdirSync(path)
  } catch {
    return undefined
  }
}

/** The file's text, or `undefined` when there is no such file. Other failures throw. */
export async function readTextIfPresent(path: string): Promise<string | undefined> {
  try {
    return await fs.readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

export async function statIfPresent(path: string): Promise<Stats | undefined> {
  try {
    return await fs.stat(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/**
 * Replaces a file so that a crash leaves the old or the new content, never a mixture, and the new content is on disk
 * when this returns. Order: write the temporary file, fsync it, rename it, fsync the folder.
 */
export async function writeFileDurably(
  path: string,
  content: string | Uint8Array,
  options: { mode?: number; owner?: FileOwner | undefined } = {},
): Promise<void> {
  const temporary = temporaryFor(path)
  const file = await fs.open(temporary, 'wx', options.mode ?? 0o600)
  try {
    try {
      await file.writeFile(content)
      if (options.owner) await file.chown(options.owner.uid, options.owner.gid)
      await file.sync()
    } finally {
      await file.close()
    }
    await fs.rename(temporary, path)
  } catch (error) {
    await fs.rm(temporary, { force: true })
    throw error
  }
  await syncFolder(dirname(path))
}

/**
 * Where the new content of a file stands until it is whole. A write that is killed leaves it there, maybe unreadable for the server:
 * by this beginning of its name (PG_TEMP_FILE_PREFIX) base backups leave it out, and do not fail for it for ever.
 */
export function temporaryFor(path: string): string {
  return join(dirname(path), `pgsql_tmp.${basename(path)}.${randomBytes(4).toString('hex')}`)
}

/** Makes creations, renames and deletions in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await fs.open(path, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
