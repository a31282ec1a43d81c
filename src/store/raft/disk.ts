import {
  closeSync,
  dirname,
  fdatasyncSync,
  fsConstants,
  fsyncSync,
  ftruncateSync,
  join,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from '../../platform/disk.ts'
import { codeOf } from '../../std/fault.ts'
import { KiB } from '../../std/units.ts'

/**
 * Zeros that are written and synced ahead of the log's end. An fdatasync that makes a file longer also commits its length to
 * the journal of the file system: measured on ext4, 1.2 ms instead of 0.16 ms. So most syncs find the space there already.
 */
const AHEAD_BYTES = 256 * KiB

/**
 * What the log needs from a disk; the simulator has one that forgets what was not synced. Synchronous on purpose: one small
 * write with fdatasync takes 0.3 ms this way and longer through the thread pool, where a hanging DNS lookup could delay it.
 * Any error is final: after a failed fsync nobody knows what is on disk, and a second one may lie.
 */
export type RaftDisk = {
  makeFolder(path: string): void
  /** `undefined` when there is no such file. Without zero bytes at the end, which nothing that is kept here ends with. */
  read(path: string): Uint8Array | undefined
  /** A crash leaves the old file or the new one, and the new one is durable when this returns. */
  replace(path: string, content: Uint8Array): void
  open(path: string): AppendFile
  /** Paths of the files in a folder, in any order; none where there is no folder. */
  list(folder: string): readonly string[]
  /** Durable only after `syncFolder`. A file that is not there is no error. */
  remove(path: string): void
  syncFolder(folder: string): void
}

export type AppendFile = {
  append(content: Uint8Array): void
  /** What was appended is durable when this returns. */
  sync(): void
  close(): void
}

export const realDisk: RaftDisk = {
  makeFolder(path) {
    const created = mkdirSync(path, { recursive: true, mode: 0o700 })
    if (created === undefined) return
    for (let at = path; at.length >= created.length; at = dirname(at)) syncFolder(dirname(at))
  },
  read(path) {
    try {
      return withoutZeros(readFileSync(path))
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined
      throw error
    }
  },
  replace(path, content) {
    const temporary = `${path}.tmp`
    const file = openSync(temporary, 'w', 0o600)
    try {
      writeAll(file, content)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(temporary, path)
    syncFolder(dirname(path))
  },
  open(path) {
    const file = openSync(path, fsConstants.O_RDWR | fsConstants.O_CREAT, 0o600)
    const content = readFileSync(path)
    let end = withoutZeros(content).length
    let length = content.length
    return {
      append(added) {
        if (end + added.length > length) {
          const ahead = new Uint8Array(Math.max(AHEAD_BYTES, end + added.length - length))
          writeAll(file, ahead, length)
          // Order: the length is durable before a record may rely on fdatasync alone.
          fsyncSync(file)
          length += ahead.length
        }
        writeAll(file, added, end)
        end += added.length
      },
      sync: () => fdatasyncSync(file),
      close() {
        // Not needed, and tidy: what a crash leaves instead is read the same.
        if (end < length) ftruncateSync(file, end)
        closeSync(file)
      },
    }
  },
  list(folder) {
    try {
      return readdirSync(folder).map((name) => join(folder, name))
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return []
      throw error
    }
  },
  remove: (path) => rmSync(path, { force: true }),
  syncFolder,
}

function withoutZeros(bytes: Uint8Array): Uint8Array {
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === 0) end -= 1
  return bytes.subarray(0, end)
}

function writeAll(file: number, content: Uint8Array, at = 0): void {
  let offset = 0
  while (offset < content.length) {
    offset += writeSync(file, content, offset, content.length - offset, at + offset)
  }
}

function syncFolder(path: string): void {
  const folder = openSync(path, fsConstants.O_RDONLY | fsConstants.O_DIRECTORY)
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}
