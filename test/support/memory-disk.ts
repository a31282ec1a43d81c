import type { RaftDisk } from '../../src/store/raft/disk.ts'

/** `room` is what the bytes lie in: it grows by doubling, so that a log of many small records costs no more than its length. */
type Content = {
  bytes: Uint8Array
  syncedLength: number
  room?: Uint8Array
  /** What a failed fsync left: readers see it until the power goes, and the next fsync does not write it either. */
  dropped?: { readonly from: number; readonly to: number }[]
}

type DiskCall = 'append' | 'sync' | 'replace' | 'remove' | 'syncFolder'

/** A disk in memory that forgets what was not synced, and can be told to fail. */
export type MemoryDisk = RaftDisk & {
  readonly files: ReadonlyMap<string, Content>
  /** What a power loss leaves: of each file the synced part, and `keptBytes` of the rest at most; `undone` deletions come back. */
  crash(keptBytes?: number, undone?: (path: string) => boolean): void
  /** Every call with this name fails from now on; `undefined` ends it. */
  failOn(call: DiskCall | undefined): void
  /** The machine stops at the call with this number, counted from now on: everything from it on throws. With `done` that call still takes effect. */
  stopAt(call: number, options: { readonly done: boolean }): void
  setBytes(path: string, bytes: Uint8Array): void
  readonly syncs: () => number
  /** Calls that change something, in order. */
  readonly calls: readonly DiskCall[]
}

export function createMemoryDisk(): MemoryDisk {
  const files = new Map<string, Content>()
  /** Deleted, and the folder not synced. */
  const deleted = new Map<string, Content>()
  let failing: string | undefined
  let stop: { readonly at: number; readonly done: boolean } | undefined
  let syncs = 0
  const calls: DiskCall[] = []
  const run = (call: DiskCall, act: () => void): void => {
    calls.push(call)
    if (failing === call) throw Object.assign(new Error(`EIO: i/o error, ${call}`), { code: 'EIO' })
    if (stop !== undefined && calls.length >= stop.at) {
      if (calls.length === stop.at && stop.done) act()
      throw new Error('The machine has stopped')
    }
    act()
  }
  const contentOf = (path: string): Content => {
    const content = files.get(path)
    if (content === undefined) throw new Error(`No file "${path}"`)
    return content
  }
  return {
    files,
    calls,
    makeFolder: () => {},
    read: (path) => files.get(path)?.bytes.slice(),
    replace(path, content) {
      run('replace', () => {
        syncs += 1
        files.set(path, { bytes: content.slice(), syncedLength: content.length })
      })
    },
    list: (folder) => [...files.keys()].filter((path) => path.startsWith(`${folder}/`)),
    remove(path) {
      run('remove', () => {
        const content = files.get(path)
        if (content !== undefined) deleted.set(path, content)
        files.delete(path)
      })
    },
    syncFolder() {
      run('syncFolder', () => deleted.clear())
    },
    open(path) {
      if (!files.has(path)) files.set(path, { bytes: new Uint8Array(), syncedLength: 0 })
      let isOpen = true
      return {
        append(added) {
          run('append', () => {
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
          })
        },
        sync() {
          const content = contentOf(path)
          if (failing === 'sync' && content.bytes.length > content.syncedLength) {
            content.dropped ??= []
            content.dropped.push({ from: content.syncedLength, to: content.bytes.length })
          }
          run('sync', () => {
            syncs += 1
            content.syncedLength = content.bytes.length
          })
        },
        close() {
          if (!isOpen) throw Object.assign(new Error('EBADF: bad file descriptor, close'), { code: 'EBADF' })
          isOpen = false
        },
      }
    },
    crash(keptBytes = 0, undone = () => false) {
      for (const [path, content] of deleted) if (undone(path)) files.set(path, content)
      deleted.clear()
      stop = undefined
      for (const content of files.values()) {
        content.bytes = content.bytes.slice(0, content.syncedLength + keptBytes)
        content.syncedLength = content.bytes.length
        for (const { from, to } of content.dropped ?? []) content.bytes.fill(0, from, to)
        delete content.dropped
      }
    },
    failOn(call) {
      failing = call
    },
    stopAt(call, { done }) {
      stop = { at: calls.length + call, done }
    },
    setBytes(path, bytes) {
      files.set(path, { bytes, syncedLength: bytes.length })
    },
    syncs: () => syncs,
  }
}
