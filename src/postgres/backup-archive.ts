import { extract, type Extract, type Header } from 'tar-stream'
import { dirname, fs, join, type FileOwner } from '../platform/disk.ts'
import { syncFilesystem } from '../platform/sync-filesystem.ts'
import { Fault, messageOf } from '../std/fault.ts'
import { MINUTE } from '../std/units.ts'

/** Maps a tablespace's oid to the folder that its links here point at. */
export type TablespaceFolders = ReadonlyMap<string, string>

type Entry = AsyncIterable<unknown> & { resume(): void }

/**
 * Unpacks one tar archive of a base backup into `folder` while it arrives: never more than a chunk in memory. Files are not yet on
 * disk when it ends; `syncTree` does that once for all.
 */
export class ArchiveUnpacker {
  readonly #folder: string
  readonly #owner: FileOwner | undefined
  readonly #tablespaces: TablespaceFolders
  readonly #extract: Extract
  readonly #done: Promise<void>
  #failure: unknown

  constructor(options: { folder: string; owner: FileOwner | undefined; tablespaces: TablespaceFolders }) {
    this.#folder = options.folder
    this.#owner = options.owner
    this.#tablespaces = options.tablespaces
    this.#extract = extract()
    this.#extract.on('error', (error) => {
      this.#failure ??= error
    })
    this.#extract.on('entry', (header, entry, next) => {
      entry.on('error', () => {})
      void this.#take(header, entry, next)
    })
    this.#done = new Promise((resolve) => {
      this.#extract.on('close', () => resolve())
    })
  }

  /** Takes the next bytes; resolves when more may come. */
  async write(bytes: Buffer): Promise<void> {
    if (this.#failure !== undefined) throw broken(this.#failure)
    if (this.#extract.write(bytes)) return
    await new Promise<void>((resolve) => {
      const go = () => {
        this.#extract.off('drain', go)
        this.#extract.off('close', go)
        resolve()
      }
      this.#extract.on('drain', go)
      this.#extract.on('close', go)
    })
  }

  /** Resolves when everything was unpacked. */
  async finish(): Promise<void> {
    if (this.#failure === undefined) this.#extract.end(undefined)
    await this.#done
    if (this.#failure !== undefined) throw broken(this.#failure)
  }

  /** Ends without finishing; nothing is thrown. */
  async abandon(): Promise<void> {
    this.#extract.destroy(new Error('abandoned'))
    await this.#done
  }

  async #take(header: Header, entry: Entry, next: (error?: Error) => void): Promise<void> {
    try {
      await this.#unpack(header, entry)
    } catch (error) {
      this.#failure ??= error
      next(error instanceof Error ? error : new Error(messageOf(error)))
      return
    }
    next()
  }

  async #unpack(header: Header, entry: Entry): Promise<void> {
    const path = this.#pathOf(header.name)
    if (header.type === 'directory') await this.#makeFolder(path, header.mode)
    else if (header.type === 'symlink') await this.#makeLink(path, header)
    else if (header.type === 'file' || header.type === 'contiguous-file') {
      await this.#writeFile(path, header, entry)
      return
    } else throw new Error(`entry "${header.name}" is a ${header.type ?? 'nameless kind'}`)
    entry.resume()
  }

  async #makeFolder(path: string, mode: number | undefined): Promise<void> {
    await fs.mkdir(path, { recursive: true, mode: (mode ?? 0o700) & 0o770 })
    if (this.#owner) await fs.chown(path, this.#owner.uid, this.#owner.gid)
  }

  /** The only links of a data directory that are sent as such are those of tablespaces. */
  async #makeLink(path: string, header: Header): Promise<void> {
    const oid = /^(?:\.\/)?pg_tblspc\/(\d+)\/?$/.exec(header.name)?.[1]
    const target = oid === undefined ? undefined : this.#tablespaces.get(oid)
    if (target === undefined) throw new Error(`link "${header.name}" belongs to no tablespace`)
    await fs.symlink(target, path)
    if (this.#owner) await fs.lchown(path, this.#owner.uid, this.#owner.gid)
  }

  async #writeFile(path: string, header: Header, entry: Entry): Promise<void> {
    const mode = (header.mode ?? 0o600) & 0o660
    // A folder that the server left out of the archive: what lies in it would have nowhere to go.
    const file = await fs.open(path, 'w', mode).catch(async () => {
      await fs.mkdir(dirname(path), { recursive: true, mode: 0o700 })
      return fs.open(path, 'w', mode)
    })
    try {
      for await (const chunk of entry) await file.writeFile(chunk as Uint8Array)
      if (this.#owner) await file.chown(this.#owner.uid, this.#owner.gid)
    } finally {
      await file.close()
    }
  }

  /** The archive comes from the network: nothing of it may land outside the folder. */
  #pathOf(name: string): string {
    const parts = name.split('/').filter((part) => part !== '' && part !== '.')
    if (name.startsWith('/') || parts.includes('..')) throw new Error(`entry "${name}" leaves the folder`)
    return join(this.#folder, ...parts)
  }
}

/**
 * Two at a time: libuv has four threads for files, and whatever else this process syncs (its consensus log) must not wait behind
 * a whole data directory.
 */
const SYNC_CONCURRENCY = 2
/** A disk that takes longer for all that is dirty is asked file by file, which says where it hangs. */
const SYNC_TIMEOUT_MS = 2 * MINUTE

/** Brings everything below `folder` to disk, folders after what they hold. */
export async function syncTree(folder: string): Promise<void> {
  if (await syncFilesystem(folder, SYNC_TIMEOUT_MS)) return
  const folders: string[] = [folder]
  const files: string[] = []
  for (let index = 0; index < folders.length; index += 1) {
    const here = folders[index] as string
    for (const entry of await fs.readdir(here, { withFileTypes: true })) {
      if (entry.isDirectory()) folders.push(join(here, entry.name))
      else if (entry.isFile()) files.push(join(here, entry.name))
    }
  }
  const syncAll = async (paths: readonly string[]) => {
    let next = 0
    const work = async () => {
      for (let path = paths[next++]; path !== undefined; path = paths[next++]) {
        const handle = await fs.open(path, 'r')
        try {
          await handle.sync()
        } finally {
          await handle.close()
        }
      }
    }
    await Promise.all(Array.from({ length: SYNC_CONCURRENCY }, work))
  }
  await syncAll(files)
  await syncAll(folders.reverse())
}

function broken(cause: unknown): Fault {
  return new Fault('CLONE_UNPACK_FAILED', `Cannot unpack the base backup: ${messageOf(cause)}`, { cause })
}
