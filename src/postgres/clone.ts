import { monotonicMs } from '../platform/clock.ts'
import type { OsUser } from '../platform/os-user.ts'
import { Fault } from '../std/fault.ts'
import { KiB, SECOND } from '../std/units.ts'
import { parseBackupMessage } from '../wire/replication.ts'
import { ArchiveUnpacker, syncTree } from './backup-archive.ts'
import { moveIntoPlace, prepareBuildFolder, putStandbySignal, writeIncarnation } from './data-directory.ts'
import {
  ReplicationConnection,
  type ReplicationRow,
  type ReplicationTarget,
} from './replication-connection.ts'
import { makeTablespaceFolders, sweepTablespaces } from './tablespaces.ts'

export type CloneProgress = {
  readonly bytesDone: number
  /** The server's estimate; WAL comes on top. */
  readonly bytesTotal: number
  readonly bytesPerSecond: number
}

export type CloneResult = {
  readonly systemId: string
  readonly timeline: number
  readonly incarnation: string
  readonly bytes: number
  readonly tookMs: number
  /** Where the directory that lay there before is now. */
  readonly setAside: string | undefined
}

const CONNECT_TIMEOUT_MS = 5 * SECOND
const PROGRESS_EVERY_MS = 250

const COPY_OUT = 0x48
const COPY_DATA = 0x64
const COPY_DONE = 0x63

/**
 * Copies a running instance into `dataDir` by `BASE_BACKUP`, WAL included, into a marked sibling folder that is renamed in when it
 * is whole and on disk. What lay there is renamed aside. Throws the faults of the connection, `CLONE_SOURCE_FOREIGN`,
 * `CLONE_UNPACK_FAILED`; then nothing of the old directory was touched.
 */
export async function cloneInstance(options: {
  dataDir: string
  source: ReplicationTarget
  owner: OsUser | undefined
  /** The cluster that the source must belong to; absent: any. */
  systemId?: string | undefined
  onProgress?: ((progress: CloneProgress) => void) | undefined
  signal?: AbortSignal | undefined
  /** Last touches on the copy before it is moved in. */
  finish: (folder: string) => Promise<void>
}): Promise<CloneResult> {
  const { dataDir, source, owner, signal } = options
  const startedAt = monotonicMs()
  const folder = await prepareBuildFolder({
    dataDir,
    suffix: '.clone',
    owner,
    reason: `a clone from ${source.host}:${source.port} was interrupted`,
  })
  await sweepTablespaces(dataDir)
  const connection = await ReplicationConnection.open(source, {
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    signal,
  })
  try {
    const [identity] = await connection.ask('IDENTIFY_SYSTEM')
    const systemId = identity?.['systemid'] ?? ''
    if (options.systemId !== undefined && systemId !== options.systemId) {
      throw new Fault(
        'CLONE_SOURCE_FOREIGN',
        `Cannot clone from ${source.host}:${source.port}: its system identifier is ${systemId}, wanted ${options.systemId}`,
      )
    }
    const received = await receiveBackup(connection, { ...options, folder })
    signal?.throwIfAborted()
    const incarnation = await writeIncarnation(folder, owner)
    await putStandbySignal(folder, owner)
    await options.finish(folder)
    for (const tablespace of received.tablespaces) await syncTree(tablespace)
    await syncTree(folder)
    const setAside = await moveIntoPlace(folder, dataDir)
    return {
      systemId,
      timeline: Number(identity?.['timeline'] ?? 0),
      incarnation,
      bytes: received.bytes,
      tookMs: monotonicMs() - startedAt,
      setAside,
    }
  } finally {
    connection.close()
  }
}

async function receiveBackup(
  connection: ReplicationConnection,
  options: {
    dataDir: string
    folder: string
    owner: OsUser | undefined
    onProgress?: ((progress: CloneProgress) => void) | undefined
  },
): Promise<{ bytes: number; tablespaces: readonly string[] }> {
  const { dataDir, folder, owner } = options
  // WAIT only waits for the archiver, and everything that is needed comes along.
  connection.send("BASE_BACKUP (LABEL 'pg-metako', PROGRESS, CHECKPOINT 'fast', WAL, WAIT 0, MANIFEST 'no')")
  await connection.readResult()
  const parts = await connection.readResult()
  const tablespaces = await makeTablespaceFolders(parts, { dataDir, folder, owner })
  const meter = new ProgressMeter(totalBytes(parts), options.onProgress)

  const opening = await connection.next()
  if (opening.type !== COPY_OUT) throw protocolFault(`message ${opening.type} instead of the copy`)
  let unpacker: ArchiveUnpacker | undefined
  try {
    for (;;) {
      const { type, body } = await connection.next()
      if (type === COPY_DONE) break
      if (type !== COPY_DATA) throw protocolFault(`message ${type} within the copy`)
      const part = parseBackupMessage(body)
      if (!part) throw protocolFault('a backup message is cut off')
      if (part.kind === 'archive') {
        await unpacker?.finish()
        const into = part.tablespacePath === '' ? folder : folderOf(part.name, tablespaces)
        unpacker = new ArchiveUnpacker({ folder: into, owner, tablespaces })
      } else if (part.kind === 'data') {
        if (!unpacker) throw protocolFault('data before its archive')
        meter.add(part.bytes.length)
        await unpacker.write(part.bytes)
      } else if (part.kind !== 'progress') {
        throw protocolFault(`a "${part.kind}" message that was not asked for`)
      }
    }
    await unpacker?.finish()
    unpacker = undefined
  } finally {
    await unpacker?.abandon()
  }
  await connection.readResult()
  await connection.readUntilReady()
  meter.report()
  return { bytes: meter.bytesDone, tablespaces: [...new Set(tablespaces.values())] }
}

/** The archives of tablespaces are named after their oid. */
function folderOf(archive: string, tablespaces: ReadonlyMap<string, string>): string {
  const oid = archive.replace(/\.tar$/, '')
  return tablespaces.get(oid) ?? protocolThrow(`archive "${archive}" belongs to no tablespace`)
}

/** Sizes come in kilobytes, one row for each tablespace and one for the data directory. */
function totalBytes(parts: readonly ReplicationRow[]): number {
  return parts.reduce((sum, part) => sum + Number(part['size'] ?? 0) * KiB, 0)
}

class ProgressMeter {
  readonly #bytesTotal: number
  readonly #announce: ((progress: CloneProgress) => void) | undefined
  readonly #startedAt = monotonicMs()
  #reportedAt = monotonicMs()
  bytesDone = 0

  constructor(bytesTotal: number, announce: ((progress: CloneProgress) => void) | undefined) {
    this.#bytesTotal = bytesTotal
    this.#announce = announce
  }

  add(bytes: number): void {
    this.bytesDone += bytes
    if (monotonicMs() - this.#reportedAt >= PROGRESS_EVERY_MS) this.report()
  }

  report(): void {
    this.#reportedAt = monotonicMs()
    const seconds = Math.max(0.001, (this.#reportedAt - this.#startedAt) / SECOND)
    this.#announce?.({
      bytesDone: this.bytesDone,
      bytesTotal: Math.max(this.#bytesTotal, this.bytesDone),
      bytesPerSecond: Math.round(this.bytesDone / seconds),
    })
  }
}

function protocolFault(what: string): Fault {
  return new Fault('REPLICATION_PROTOCOL', `Cannot take the base backup: the server sent ${what}`)
}

function protocolThrow(what: string): never {
  throw protocolFault(what)
}
