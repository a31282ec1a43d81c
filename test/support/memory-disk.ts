import type { RaftDisk } from '../../src/store/raft/disk.ts'

/** `room` is what the bytes lie in: it grows by doubling, so that a log of many small records costs no more than its length. */
type Content = { bytes: Uint8Array; syncedLength: number; room?: Uint8Array }

/** A disk in memory that forgets what was not synced, and can be told to fail. */
export type MemoryDisk = RaftDisk & {
  readonly files: ReadonlyMap<string, Content>
  /** What a power loss leaves: of each file the synced part, and `keptBytes` of the rest at most. */
  crash(keptBytes?: number): void
  /** Every call with this name fails from now on; `undefined` ends it. */
  failOn(call: 'append' | 'sync' | 'replace' | undefined): void
  setBytes(path: string, bytes: Uint8Array): void
  readonly syncs: () => number
}

export function createMemoryDisk(): MemoryDisk {
  const files = new Map<string, Content>()
  let failing: string | undefined
  let syncs = 0
  const check = (call: string): void => {
    if (failing === call) throw Object.assign(new Error(`EIO: i/o error, ${call}`), { code: 'EIO' })
  }
  const contentOf = (path: string): Content => {
    const content = files.get(path)
    if (content === undefined) throw new Error(`No file "${path}"`)
    return content
  }
  return {
    files,
    makeFolder: () => {},
    read: (path) => files.get(path)?.bytes.slice(),
    replace(path, content) {
      check('replace')
      syncs += 1
      files.set(path, { bytes: content.slice(), syncedLength: content.length })
    },
    open(path) {
      if (!files.has(path)) files.set(path, { bytes: new Uint8Array(), syncedLength: 0 })
      return {
        append(added) {
          check('append')
          const content = contentOf(path)
          const { bytes } = content
          const length = bytes.length + added.length
          let room = content.room
          if (room === undefined || room.buffer !== bytes.buffer || room.length < length) {
            room = new Uint8Array(Math.max(4096, 2 * length))
            room.set(bytes)
            content.room = room
          }
          room.set(added, bytes.length)
          content.bytes = room.subarray(0, length)
        },
        sync() {
          check('sync')
          syncs += 1
          const content = contentOf(path)
          content.syncedLength = content.bytes.length
        },
        truncate(length) {
          files.set(path, { bytes: contentOf(path).bytes.slice(0, length), syncedLength: length })
        },
        close: () => {},
      }
    },
    crash(keptBytes = 0) {
      for (const content of files.values()) {
        content.bytes = content.bytes.slice(0, content.syncedLength + keptBytes)
        content.syncedLength = content.bytes.length
      }
    },
    failOn(call) {
      failing = call
    },
    setBytes(path, bytes) {
      files.set(path, { bytes, syncedLength: bytes.length })
    },
    syncs: () => syncs,
  }
}
