import { fs, join } from '../platform/disk.ts'

const PROBE_FILE = 'pg-metako.probe'
/** As much as a small commit writes. */
const PROBE_BYTES = new Uint8Array(512)

/** The disks of a data directory, asked without PostgreSQL. */
export class WalDisk {
  readonly #dataDir: string
  #syncing: Promise<void> | undefined

  constructor(dataDir: string) {
    this.#dataDir = dataDir
  }

  /**
   * Returns when a small file beside the WAL is durable. It is gone then: neither pg_rewind nor a clone of another member ever sees one
   * of its own. One at a time, however often it is asked for: a disk that hangs would take all threads that work on files.
   */
  sync(): Promise<void> {
    this.#syncing ??= this.#sync().finally(() => {
      this.#syncing = undefined
    })
    return this.#syncing
  }

  /** Bytes that are left for PostgreSQL, on the disk of its data or of its WAL, whichever has less. */
  async roomBytes(): Promise<number> {
    const rooms = await Promise.all(
      [this.#dataDir, join(this.#dataDir, 'pg_wal')].map(async (folder) => {
        const { bavail, bsize } = await fs.statfs(folder)
        return bavail * bsize
      }),
    )
    return Math.min(...rooms)
  }

  async #sync(): Promise<void> {
    const path = join(this.#dataDir, 'pg_wal', PROBE_FILE)
    const file = await fs.open(path, 'w', 0o600)
    try {
      await file.write(PROBE_BYTES)
      await file.datasync()
    } finally {
      await file.close()
      await fs.rm(path, { force: true })
    }
  }
}
