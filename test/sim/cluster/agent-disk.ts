import type { RaftDisk } from '../../../src/store/raft/disk.ts'
import { createMemoryDisk } from '../../support/memory-disk.ts'
import type { RandomStream } from '../random-stream.ts'
import type { SimProcess } from './sim-host.ts'

/** What ails the volume of a state folder. */
export type AgentDiskFault =
  /** A write fails and leaves nothing. */
  | 'write-error'
  /** An fsync fails: the kernel drops what it could not write, shows it to readers all the same, and says that the next fsync is fine. */
  | 'fsync-error'
  /** No space: a write leaves a part. */
  | 'full'
  /** Nothing that is written comes back until the fault is over. */
  | 'stalled'

/**
 * The volume of one host's state folder: the consensus log on it, and the mood in which small files are written. Outlives the agents.
 */
export class AgentDisk {
  readonly #memory = createMemoryDisk()
  #fault: AgentDiskFault | undefined
  #cut: (() => void) | undefined
  #stalled: (() => void)[] = []

  setFault(fault: AgentDiskFault | undefined): void {
    this.#fault = fault
    if (fault === 'stalled') return
    this.#memory.failOn(fault === 'fsync-error' ? 'sync' : undefined)
    for (const goOn of this.#stalled.splice(0)) goOn()
  }

  /** `strike` ends the agent, or the power of its host, between the next write and its fsync. */
  cutNextWrite(strike: (() => void) | undefined): void {
    this.#cut = strike
  }

  /** Its files, as the consensus log works on them. */
  open(): RaftDisk {
    const memory = this.#memory
    return {
      makeFolder: (path) => memory.makeFolder(path),
      list: (folder) => memory.list(folder),
      read: (path) => memory.read(path),
      replace: (path, content) => {
        this.#refuse(['write-error', 'fsync-error', 'full'])
        memory.replace(path, content)
      },
      remove: (path) => memory.remove(path),
      syncFolder: (folder) => {
        this.#refuse(['fsync-error'])
        memory.syncFolder(folder)
      },
      open: (path) => {
        const file = memory.open(path)
        return {
          append: (content) => {
            this.#refuse(['write-error'])
            if (this.#fault === 'full') {
              file.append(content.subarray(0, content.length >> 1))
              this.#refuse(['full'])
            }
            file.append(content)
            this.#strike()
          },
          sync: () => file.sync(),
          close: () => file.close(),
        }
      },
    }
  }

  /** Runs `task`, which is going to write and blocks its process; on a stalled disk the process stands still until that is over. */
  blocking(process: SimProcess, task: () => void): void {
    if (this.#fault !== 'stalled') return task()
    process.pause()
    process.run(task)
    this.#stalled.push(() => process.resume())
  }

  /** Runs `done` when a small file could be written; on a stalled disk that is later. */
  writeSmall(done: (failure: Error | undefined) => void): void {
    if (this.#fault === 'stalled') this.#stalled.push(() => this.writeSmall(done))
    else if (this.#fault === undefined) done(undefined)
    else done(errorOf(this.#fault))
  }

  /** What was not durable is gone, but for `keptBytes` of each file that happened to be written. */
  losePower(keptBytes: number): void {
    this.setFault(undefined)
    this.#memory.crash(keptBytes)
  }

  /** Flips a bit of a record that is not the last one of its file; false where there is no such record. */
  rot(chance: RandomStream): boolean {
    const files = [...this.#memory.files].filter(([path]) => path.endsWith('.log'))
    const longest = files.toSorted(([, one], [, other]) => other.bytes.length - one.bytes.length)[0]
    if (longest === undefined || longest[1].bytes.length < ROT_BYTES_MIN) return false
    const [path, { bytes }] = longest
    const rotten = bytes.slice()
    const at = chance.below(rotten.length >> 1)
    rotten[at] = (rotten[at] ?? 0) ^ (1 << chance.below(8))
    this.#memory.setBytes(path, rotten)
    return true
  }

  get hasLog(): boolean {
    return this.#memory.files.size > 0
  }

  /** The folder of the log is moved away, as an operator does it. */
  moveLogAside(): void {
    for (const path of [...this.#memory.files.keys()]) this.#memory.remove(path)
  }

  #refuse(faults: readonly AgentDiskFault[]): void {
    if (this.#fault !== undefined && faults.includes(this.#fault)) throw errorOf(this.#fault)
  }

  #strike(): void {
    const strike = this.#cut
    if (strike === undefined) return
    this.#cut = undefined
    strike()
    throw new Error('The process has ended in the middle of a write')
  }
}

/** A file with several records. */
const ROT_BYTES_MIN = 2000

function errorOf(fault: AgentDiskFault): Error {
  const code = fault === 'full' ? 'ENOSPC' : 'EIO'
  const words = fault === 'full' ? 'no space left on device' : 'i/o error'
  return Object.assign(new Error(`${code}: ${words}, ${fault}`), { code })
}
