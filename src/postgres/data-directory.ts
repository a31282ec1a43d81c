import { formatLsn } from '../model/lsn.ts'
import { wallMs } from '../platform/clock.ts'
import {
  basename,
  dirname,
  fs,
  join,
  readTextIfPresent,
  statIfPresent,
  syncFolder,
  writeFileDurably,
  type FileOwner,
} from '../platform/disk.ts'
import type { OsUser } from '../platform/os-user.ts'
import { randomHex } from '../platform/random.ts'
import { codeOf, Fault } from '../std/fault.ts'
import { readControlFile, type ControlState } from './control-file.ts'
import { withoutOwnedLines } from './parameters.ts'

/** Lies in a directory that is not whole yet: a clone or an initialisation that has not ended. Never started with it. */
const INCOMPLETE_MARKER = 'pg-metako.incomplete'
const INCARNATION_FILE = 'pg-metako.incarnation'
export const SETTINGS_FILE = 'pg-metako.conf'
const STANDBY_SIGNAL = 'standby.signal'
const SET_ASIDE = '.before-'

/** What a data directory is, found without starting anything. */
export type DataDirectory =
  | { readonly kind: 'absent' }
  | { readonly kind: 'empty' }
  /** Holds something that is no PostgreSQL instance: never touched. */
  | { readonly kind: 'foreign'; readonly reason: string }
  /** A clone or an initialisation that did not end: never started, may be replaced. */
  | { readonly kind: 'incomplete'; readonly reason: string }
  | {
      readonly kind: 'instance'
      readonly systemId: string
      readonly majorVersion: number
      readonly controlState: ControlState
      readonly timeline: number
      readonly checkpointLsn: string
      /** Random id of this copy of the data. Absent until we have started it once. */
      readonly incarnation: string | undefined
      readonly checksums: boolean
    }

/** Looks at a data directory. Reads only. */
export async function inspectDataDirectory(dataDir: string): Promise<DataDirectory> {
  let names: readonly string[]
  try {
    names = await fs.readdir(dataDir)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return { kind: 'absent' }
    if (codeOf(error) === 'ENOTDIR') return { kind: 'foreign', reason: `"${dataDir}" is not a folder` }
    throw error
  }
  const content = names.filter((name) => name !== 'lost+found')
  if (content.length === 0) return { kind: 'empty' }
  if (content.includes(INCOMPLETE_MARKER)) {
    const reason = (await readTextIfPresent(join(dataDir, INCOMPLETE_MARKER)))?.trim() || 'it was interrupted'
    return { kind: 'incomplete', reason }
  }
  if (!content.includes('PG_VERSION')) {
    return {
      kind: 'foreign',
      reason: `"${dataDir}" has no PG_VERSION, but ${content.length} other entries such as "${content[0]}"`,
    }
  }
  const majorVersion = await readMajorVersion(dataDir)
  if (majorVersion === undefined) {
    return { kind: 'foreign', reason: `"${join(dataDir, 'PG_VERSION')}" is not PostgreSQL 13 or newer` }
  }
  const control = await readControlFile(dataDir)
  return {
    kind: 'instance',
    systemId: control.systemId,
    majorVersion,
    controlState: control.state,
    timeline: control.timeline,
    checkpointLsn: formatLsn(control.checkpointLsn),
    incarnation: await readIncarnation(dataDir),
    checksums: control.checksumVersion > 0,
  }
}

/** Major version of an existing data directory; `undefined` when there is none. It decides which binaries can be used. */
export async function readMajorVersion(dataDir: string): Promise<number | undefined> {
  const text = await readTextIfPresent(join(dataDir, 'PG_VERSION')).catch(() => undefined)
  return text !== undefined && /^\d{2}\s*$/.test(text) ? Number(text) : undefined
}

/** The random id of this copy of the data; `undefined` while it has none. */
export async function readIncarnation(dataDir: string): Promise<string | undefined> {
  return (await readTextIfPresent(join(dataDir, INCARNATION_FILE)))?.trim() || undefined
}

/** Gives the directory a new random id: what was known about the copy that lay here before no longer counts. */
export async function writeIncarnation(dataDir: string, owner: FileOwner | undefined): Promise<string> {
  const incarnation = randomHex(16)
  await writeFileDurably(join(dataDir, INCARNATION_FILE), `${incarnation}\n`, { owner })
  return incarnation
}

/** Whoever starts the directory without us gets a standby, also from a primary's directory. Durable when it returns. */
export async function putStandbySignal(dataDir: string, owner: FileOwner | undefined): Promise<void> {
  // An empty file needs no fsync of its own, only its name does: this stands on the path of a failover.
  const file = await fs.open(join(dataDir, STANDBY_SIGNAL), 'a', 0o600)
  try {
    if (owner) await file.chown(owner.uid, owner.gid)
  } finally {
    await file.close()
  }
  await syncFolder(dataDir)
}

/** Order: only with the right to be primary in hand, and put back as soon as it takes writes. */
export async function removeStandbySignal(dataDir: string): Promise<void> {
  await fs.rm(join(dataDir, STANDBY_SIGNAL), { force: true })
  await fs.rm(join(dataDir, 'recovery.signal'), { force: true })
  await syncFolder(dataDir)
}

/**
 * Makes the sibling folder in which a clone or an initialisation is built, marked as incomplete. What an earlier attempt left is
 * removed, but only if it carries our mark.
 */
export async function prepareBuildFolder(options: {
  dataDir: string
  suffix: '.clone' | '.init'
  owner: OsUser | undefined
  reason: string
}): Promise<string> {
  const { dataDir, owner } = options
  const folder = `${dataDir}${options.suffix}`
  await refuseMountPoint(dataDir)
  await refuseForeign(dataDir)
  const found = await inspectDataDirectory(folder)
  if (found.kind === 'foreign' || found.kind === 'instance') {
    throw new Fault('PG_DATA_DIR_FOREIGN', `Cannot build in "${folder}": it is not ours, move it away`, {
      details: { folder },
    })
  }
  await fs.rm(folder, { recursive: true, force: true })
  await makeOwnedFolder(dirname(folder), owner)
  await fs.mkdir(folder, { mode: 0o700 })
  if (owner) await fs.chown(folder, owner.uid, owner.gid)
  await markIncomplete(folder, options.reason, owner)
  return folder
}

export async function markIncomplete(
  folder: string,
  reason: string,
  owner: FileOwner | undefined,
): Promise<void> {
  await writeFileDurably(join(folder, INCOMPLETE_MARKER), `${reason}\n`, { owner })
}

/**
 * Puts a finished build in the place of the data directory. What lies there is renamed aside, never deleted; an empty folder is
 * replaced. Returns where the old content went. Order: everything inside is on disk before, and the mark goes last: wherever this is
 * interrupted, no half is taken for a whole.
 */
export async function moveIntoPlace(folder: string, dataDir: string): Promise<string | undefined> {
  const found = await refuseForeign(dataDir)
  let aside: string | undefined
  if (found.kind === 'instance' || found.kind === 'incomplete') {
    aside = `${dataDir}${SET_ASIDE}${timestamp()}`
    await fs.rename(dataDir, aside)
  } else if (found.kind === 'empty') {
    await fs.rmdir(dataDir).catch(() => undefined)
  }
  await fs.rename(folder, dataDir)
  await syncFolder(dirname(dataDir))
  await fs.rm(join(dataDir, INCOMPLETE_MARKER), { force: true })
  await syncFolder(dataDir)
  return aside
}

/**
 * Renames the data directory away for a rewind, under a name of what is set aside: from here on nothing lies where one belongs, and what
 * is left of a rewind that is cut off goes the way of all that was set aside. The mark is for whoever moves it back by hand; pg_rewind
 * deletes it on its way.
 */
export async function setAsideForRewind(dataDir: string, owner: FileOwner | undefined): Promise<string> {
  await refuseMountPoint(dataDir)
  const folder = `${dataDir}${SET_ASIDE}${timestamp()}-rewind`
  await markIncomplete(dataDir, 'a rewind was interrupted', owner)
  await fs.rename(dataDir, folder)
  await syncFolder(dirname(dataDir))
  return folder
}

/** Data directories that were renamed aside, newest first. */
export async function listSetAside(dataDir: string): Promise<readonly string[]> {
  const prefix = `${basename(dataDir)}${SET_ASIDE}`
  const names = await fs.readdir(dirname(dataDir)).catch(() => [])
  return names
    .filter((name) => name.startsWith(prefix))
    .sort()
    .reverse()
    .map((name) => join(dirname(dataDir), name))
}

/**
 * Those of them that this data directory replaces, newest first: of the same system, or half made. What is of another one, such as a
 * cluster whose creation was taken over by another member, has no copy anywhere: it stays until a person removes it.
 */
export async function listReplaced(dataDir: string): Promise<readonly string[]> {
  const aside = await listSetAside(dataDir)
  const own = aside.length === 0 ? undefined : await systemIdOf(dataDir)
  if (own === undefined) return []
  const replaced: string[] = []
  for (const folder of aside) {
    const theirs = await systemIdOf(folder)
    if (theirs === undefined || theirs === own) replaced.push(folder)
  }
  return replaced
}

async function systemIdOf(folder: string): Promise<string | undefined> {
  try {
    return (await readControlFile(folder)).systemId
  } catch {
    return undefined
  }
}

/** Makes a folder, and its parents, that the database user may write to; one that exists keeps its owner. */
export async function makeOwnedFolder(folder: string, owner: FileOwner | undefined): Promise<void> {
  const created = await fs.mkdir(folder, { recursive: true, mode: 0o755 })
  if (created !== undefined && owner) await fs.chown(folder, owner.uid, owner.gid)
}

/** Takes our own parameters out of `postgresql.auto.conf`, where an `ALTER SYSTEM` or a copied backup may have left them. */
export async function cleanAutoConf(dataDir: string, owner: FileOwner | undefined): Promise<void> {
  const path = join(dataDir, 'postgresql.auto.conf')
  const text = await readTextIfPresent(path)
  if (text === undefined) return
  const cleaned = withoutOwnedLines(text)
  if (cleaned !== text) await writeFileDurably(path, cleaned, { owner })
}

/** Makes `postgresql.conf` include our file, as its last line; a directory without one (Debian keeps it elsewhere) gets one. */
export async function includeSettings(dataDir: string, owner: FileOwner | undefined): Promise<void> {
  const path = join(dataDir, 'postgresql.conf')
  const line = `include '${SETTINGS_FILE}'`
  const text = (await readTextIfPresent(path)) ?? ''
  const lines = text.split('\n').filter((candidate) => candidate.trim() !== '')
  if (lines.at(-1)?.trim() === line) return
  const kept = text
    .split('\n')
    .filter((candidate) => candidate.trim() !== line)
    .join('\n')
    .trimEnd()
  await writeFileDurably(path, `${kept}\n\n${line}\n`, { owner })
  if (!(await statIfPresent(join(dataDir, 'pg_ident.conf')))) {
    await writeFileDurably(join(dataDir, 'pg_ident.conf'), '', { owner })
  }
}

async function refuseForeign(dataDir: string): Promise<DataDirectory> {
  const found = await inspectDataDirectory(dataDir)
  if (found.kind !== 'foreign') return found
  throw new Fault('PG_DATA_DIR_FOREIGN', `Cannot replace "${dataDir}": ${found.reason}`, {
    details: { dataDir },
  })
}

/** A build is renamed into place, and a mount point cannot be renamed. */
async function refuseMountPoint(dataDir: string): Promise<void> {
  const own = await statIfPresent(dataDir)
  const parent = await statIfPresent(dirname(dataDir))
  if (!own || !parent || own.dev === parent.dev) return
  throw new Fault(
    'PG_DATA_DIR_IS_MOUNT',
    `Cannot use "${dataDir}" as data directory: it is a mount point, name a folder inside it such as "${join(dataDir, 'data')}"`,
    { details: { dataDir } },
  )
}

/** Sorts by time and fits into a file name. */
function timestamp(): string {
  return new Date(wallMs()).toISOString().replaceAll(/[-:]/g, '').replace('.', '')
}
