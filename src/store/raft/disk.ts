import {
  closeSync,
  dirname,
  fdatasyncSync,
  fsConstants,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from '../../platform/disk.ts'
import { codeOf } from '../../std/fault.ts'

/**
 * What the log needs from a disk; the simulator has one that forgets what was not synced. Synchronous on purpose: one small
 * write with fdatasync takes 0.3 ms this way and longer through the thread pool, where a hanging DNS lookup could delay it.
 * Any error is final: after a failed fsync nobody knows what is on disk, and a second one may lie.
 */
export type RaftDisk = {
  makeFolder(path: string): void
  /** `undefined` when there is no such file. */
  read(path: string): Uint8Array | undefined
  /** A crash leaves the old file or the new one, and the new one is durable when this returns. */
  replace(path: string, content: Uint8Array): void
  open(path: string): AppendFile
}

export type AppendFile = {
  append(content: Uint8Array): void
  /** What was appended is durable when this returns. */
  sync(): void
  /** Cuts the file and makes that durable. */
  truncate(length: number): void
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
      return readFileSync(path)
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
    const file = openSync(path, 'a', 0o600)
    return {
      append: (content) => writeAll(file, content),
      sync: () => fdatasyncSync(file),
      truncate(length) {
        ftruncateSync(file, length)
        fsyncSync(file)
      },
      close: () => closeSync(file),
    }
  },
}

function writeAll(file: number, content: Uint8Array): void {
  let offset = 0
  while (offset < content.length) offset += writeSync(file, content, offset)
}

function syncFolder(path: string): void {
  const folder = openSync(path, fsConstants.O_RDONLY | fsConstants.O_DIRECTORY)
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}
