import { accessSync, dirname, existsSync, fs, fsConstants, join, realpathSync } from '../platform/disk.ts'
import { canEnter, type OsUser } from '../platform/os-user.ts'
import { environment, runProgram } from '../platform/process.ts'
import { Fault, messageOf } from '../std/fault.ts'
import { SECOND } from '../std/units.ts'
import { readMajorVersion } from './data-directory.ts'
import { findEmbeddedPackage, usableEmbeddedFolder, type EmbeddedPackage } from './embedded-package.ts'

export type BinariesOrigin = 'configured' | 'environment' | 'path' | 'system' | 'embedded'

/** The PostgreSQL that will be run, and how it was chosen. */
export type Binaries = {
  readonly folder: string
  /** e.g. `15.14`. */
  readonly version: string
  readonly majorVersion: number
  readonly origin: BinariesOrigin
  readonly hasRewind: boolean
  /** Those that were not taken, each with the reason: for the log. */
  readonly passedOver: readonly string[]
}

type Candidate = { readonly folder: string; readonly origin: BinariesOrigin; readonly version: string }

const MAJOR_VERSION_MIN = 13
const VERSION_TIMEOUT_MS = 10 * SECOND
/** Debian and Red Hat keep each major version in a folder of its own. */
const SYSTEM_FOLDERS = [
  { root: '/usr/lib/postgresql', pattern: /^\d+$/ },
  { root: '/usr', pattern: /^pgsql-\d+$/ },
]

/**
 * Finds PostgreSQL: an explicit choice (`configured`, then `PG_METAKO_PG_BIN`) wins or fails; else the newest of `PATH`, the
 * system's folders and the npm package. An existing data directory decides the major version.
 * Throws `PG_BINARIES_NOT_FOUND`, `PG_BINARIES_UNUSABLE` or `PG_VERSION_MISMATCH`.
 */
export async function findBinaries(options: {
  configured?: string | undefined
  dataDir?: string | undefined
  osUser?: OsUser | undefined
}): Promise<Binaries> {
  const { osUser } = options
  const wanted = options.dataDir === undefined ? undefined : await readMajorVersion(options.dataDir)
  const explicit = explicitFolder(options.configured)
  if (explicit) {
    const judged = await judge(explicit.folder, explicit.origin, osUser)
    if (typeof judged === 'string') {
      throw new Fault('PG_BINARIES_UNUSABLE', `Cannot use "${explicit.folder}" (${explicit.key}): ${judged}`)
    }
    if (wanted !== undefined && majorOf(judged.version) !== wanted) {
      throw new Fault(
        'PG_VERSION_MISMATCH',
        `Cannot use "${explicit.folder}" (${explicit.key}): it is PostgreSQL ${judged.version}, the data in "${options.dataDir}" wants ${wanted}`,
      )
    }
    return describe(judged, [])
  }
  return findNewest({ wanted, osUser, dataDir: options.dataDir })
}

async function findNewest(options: {
  wanted: number | undefined
  osUser: OsUser | undefined
  dataDir: string | undefined
}): Promise<Binaries> {
  const { wanted, osUser } = options
  const passedOver: string[] = []
  const candidates: (Candidate & { embedded?: EmbeddedPackage })[] = []
  for (const { folder, origin } of await searchFolders()) {
    const judged = await judge(folder, origin, osUser)
    if (typeof judged === 'string') passedOver.push(`${folder}: ${judged}`)
    else candidates.push(judged)
  }
  const search = findEmbeddedPackage()
  if (search.kind === 'unsupported') passedOver.push(search.reason)
  else {
    const { version, folder } = search.package
    candidates.push({ folder, origin: 'embedded', version, embedded: search.package })
  }
  // Order: stable, so that of equal versions the one nearer to the user's shell is taken.
  candidates.sort((left, right) => compareVersions(right.version, left.version))
  const fitting = candidates.filter(({ version }) => wanted === undefined || majorOf(version) === wanted)
  for (const candidate of candidates.filter((other) => !fitting.includes(other))) {
    passedOver.push(`${candidate.folder}: PostgreSQL ${candidate.version}, the data wants ${wanted}`)
  }
  for (const [index, candidate] of fitting.entries()) {
    const usable = candidate.embedded ? await materialise(candidate.embedded, osUser) : candidate
    if (typeof usable === 'string') {
      passedOver.push(`${candidate.folder}: ${usable}`)
      continue
    }
    for (const other of fitting.slice(index + 1)) {
      passedOver.push(`${other.folder}: PostgreSQL ${other.version} is not newer`)
    }
    return describe(usable, passedOver)
  }
  const what = wanted === undefined ? 'PostgreSQL' : `PostgreSQL ${wanted} for "${options.dataDir}"`
  const seen = passedOver.length === 0 ? 'none is installed' : passedOver.join('; ')
  throw new Fault(
    'PG_BINARIES_NOT_FOUND',
    `Cannot find ${what}: ${seen}. Install it, or name its folder in postgresql.bin_dir or PG_METAKO_PG_BIN`,
    { details: { passedOver } },
  )
}

async function materialise(
  embedded: EmbeddedPackage,
  osUser: OsUser | undefined,
): Promise<Candidate | string> {
  try {
    return await judge(await usableEmbeddedFolder(embedded, osUser), 'embedded', osUser)
  } catch (error) {
    return messageOf(error)
  }
}

function explicitFolder(
  configured: string | undefined,
): { folder: string; origin: BinariesOrigin; key: string } | undefined {
  if (configured) return { folder: configured, origin: 'configured', key: 'postgresql.bin_dir' }
  const folder = environment()['PG_METAKO_PG_BIN']
  return folder ? { folder, origin: 'environment', key: 'PG_METAKO_PG_BIN' } : undefined
}

async function searchFolders(): Promise<readonly { folder: string; origin: BinariesOrigin }[]> {
  const found = new Map<string, BinariesOrigin>()
  for (const folder of (environment()['PATH'] ?? '').split(':')) {
    // A link on PATH leads to the folder where the libraries are found.
    if (folder !== '' && existsSync(join(folder, 'postgres'))) {
      const real = dirname(realpathSync(join(folder, 'postgres')))
      if (!found.has(real)) found.set(real, 'path')
    }
  }
  for (const { root, pattern } of SYSTEM_FOLDERS) {
    for (const name of await fs.readdir(root).catch(() => [])) {
      const folder = join(root, name, 'bin')
      if (pattern.test(name) && existsSync(join(folder, 'postgres')) && !found.has(folder)) {
        found.set(folder, 'system')
      }
    }
  }
  return [...found].map(([folder, origin]) => ({ folder, origin }))
}

/** The candidate, or a sentence that says why it cannot be one. */
async function judge(
  folder: string,
  origin: BinariesOrigin,
  osUser: OsUser | undefined,
): Promise<Candidate | string> {
  const program = join(folder, 'postgres')
  if (!existsSync(program)) return 'it has no "postgres"'
  if (!existsSync(join(folder, 'initdb'))) return 'it has no "initdb"'
  if (!canEnter(folder, osUser)) return `user "${osUser?.name ?? 'ourselves'}" cannot enter it`
  let output: string
  try {
    accessSync(program, fsConstants.X_OK)
    output = await runProgram(program, ['--version'], VERSION_TIMEOUT_MS)
  } catch (error) {
    return `"postgres --version" failed: ${messageOf(error).split('\n')[0]}`
  }
  const version = /\(PostgreSQL\) (\d+(?:\.\d+)?)/.exec(output)?.[1]
  if (version === undefined) return `"postgres --version" says "${output.trim()}"`
  if (majorOf(version) < MAJOR_VERSION_MIN) {
    return `PostgreSQL ${version} is too old, ${MAJOR_VERSION_MIN} or newer is wanted`
  }
  return { folder, origin, version }
}

function describe(candidate: Candidate, passedOver: readonly string[]): Binaries {
  const { folder, origin, version } = candidate
  const hasRewind = existsSync(join(folder, 'pg_rewind'))
  return { folder, version, majorVersion: majorOf(version), origin, hasRewind, passedOver }
}

function majorOf(version: string): number {
  return Number.parseInt(version, 10)
}

function compareVersions(left: string, right: string): number {
  const [leftMajor = 0, leftMinor = 0] = left.split('.').map(Number)
  const [rightMajor = 0, rightMinor = 0] = right.split('.').map(Number)
  return leftMajor - rightMajor || leftMinor - rightMinor
}
