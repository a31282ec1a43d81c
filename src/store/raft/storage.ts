import { join } from '../../platform/disk.ts'
import { memberNamed } from '../../raft/configuration.ts'
import type { DurableChange, HardState } from '../../raft/effect.ts'
import { lastIndex, lastTerm, type RaftLog } from '../../raft/log.ts'
import { isIncarnation, memberId, nameOf } from '../../raft/member-id.ts'
import type { Configuration, Entry, Snapshot } from '../../raft/message.ts'
import { assert } from '../../std/assert.ts'
import { Fault } from '../../std/fault.ts'
import { SEGMENT_BYTES } from '../limits.ts'
import { realDisk, type AppendFile, type RaftDisk } from './disk.ts'
import { encodeChanges, encodeHead, encodeOwner, type PlainChange, type SegmentHead } from './log-payload.ts'
import { readFolder, segmentFile, SINGLE_FILE, type Found, type StorageContent } from './read-log.ts'
import { encodeRecord } from './record.ts'
import { encodeSnapshot, SNAPSHOT_FILE } from './snapshot-file.ts'

/*
 * A folder holds the snapshot and the log behind it, in segments: files that are numbered, each with a head that says all
 * that must be known to read it without those before it, and then one record for each flush.
 *
 * Order, and why a crash at any moment loses nothing that was acknowledged:
 *  1. A flush appends one record to the last segment and fsyncs it. Only when that has returned may anything leave that
 *     rests on it. A crash before leaves a torn record, which nobody heard of: it is cut off; or a whole one, which the next
 *     start would take for durable: so the last segment is written anew, by a rename, before anything rests on it.
 *  2. A segment comes into being by a rename, head included, after the last record of the one before was fsynced (1); from
 *     then on that one never changes. So a broken record that is not the very last one was good once: the log is refused.
 *  3. A snapshot comes into being by a rename, after the records that were handed over before it (1).
 *  4. Where it takes the place of a log that does not fit, a fresh segment that begins behind it follows (2). A crash
 *     between leaves the snapshot with a log that does not have its entry: the log is empty then.
 *  5. Segments of which the snapshot has made every entry unneeded are deleted last, oldest first, whole. A crash may bring
 *     some of them back: they are older than what they say they follow, and are deleted again.
 * A rename or deletion is durable when the folder was fsynced. A failed write or fsync is final: nobody knows what is on
 * disk then, and a second fsync may say that all is well when it is not.
 */

export type FoundStorage =
  /** Nothing was ever promised here. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'group'; readonly groupId: string; readonly content: StorageContent }
  /** `RAFT_LOG_CORRUPT`: this member must not vote again under its identity with what is left. */
  | { readonly kind: 'corrupt'; readonly fault: Fault }

/** Reads what a folder holds. Changes nothing. */
export function openRaftStorage(folder: string, disk: RaftDisk = realDisk): FoundStorage {
  try {
    const found = readFolder(folder, disk)
    if (found === undefined) return { kind: 'absent' }
    return { kind: 'group', groupId: found.content.group, content: found.content }
  } catch (error) {
    if (error instanceof Fault) return { kind: 'corrupt', fault: error }
    throw error
  }
}

/** A member by name, with the random id of its log. */
export type MemberIdentity = { readonly name: string; readonly incarnation: string }

/**
 * Writes the first state of a group, durably. Every configured member does it once, with the same arguments. Does nothing
 * where this very group is already; throws `RAFT_GROUP_EXISTS` where another one is.
 */
export function foundRaftGroup(
  folder: string,
  genesis: { readonly groupId: string; readonly voters: readonly MemberIdentity[] },
  disk: RaftDisk = realDisk,
): void {
  const voters = genesis.voters.map(({ name, incarnation }) => memberId(name, incarnation)).toSorted()
  begin(
    { folder, disk, action: 'found' },
    { group: genesis.groupId, configuration: { voters, learners: [] } },
  )
}

/**
 * Writes the empty log of a new learner, durably: it knows nobody, and hears the leader once it was added. `incarnation` is
 * random and new: a member whose log was lost must not come back under the one that may have voted. Does nothing where
 * the log of this very member is already; throws `RAFT_GROUP_EXISTS` where another one is.
 */
export function joinRaftGroup(
  folder: string,
  invitation: { readonly groupId: string; readonly self: string; readonly incarnation: string },
  disk: RaftDisk = realDisk,
): void {
  const { groupId: group, self, incarnation } = invitation
  assert(isIncarnation(incarnation), `"${incarnation}" is no incarnation`)
  const owner = memberId(self, incarnation)
  begin({ folder, disk, action: 'join' }, { group, owner, configuration: { voters: [], learners: [] } })
}

function begin(
  place: { readonly folder: string; readonly disk: RaftDisk; readonly action: 'found' | 'join' },
  first: { readonly group: string; readonly owner?: string; readonly configuration: Configuration },
): void {
  const { folder, disk, action } = place
  const { configuration, ...identity } = first
  const found = openRaftStorage(folder, disk)
  if (found.kind === 'corrupt') throw found.fault
  if (found.kind === 'group') {
    const isOwn = first.owner === undefined || found.content.owner === first.owner
    if (found.groupId === first.group && isOwn) return
    const there = `"${found.groupId}"${isOwn ? '' : ` of member "${found.content.owner}"`}`
    throw new Fault(
      'RAFT_GROUP_EXISTS',
      `Cannot ${action} group "${first.group}" in "${folder}": the log of group ${there} is there already`,
      { details: { folder, found: found.groupId, wanted: first.group } },
    )
  }
  const snapshot: Snapshot = { index: 0, term: 0, configuration, body: '' }
  disk.makeFolder(folder)
  // Order: the log is what makes the group exist, so it comes last.
  disk.replace(join(folder, SNAPSHOT_FILE), encodeSnapshot({ group: first.group, snapshot }))
  const after = { index: 0, term: 0 }
  const head = { ...identity, number: 1, hardState: { term: 0 }, after, kind: 'fresh' } as const
  disk.replace(join(folder, segmentFile(1)), encodeRecord(1, encodeHead(head)))
}

type Closed = { readonly number: number; readonly maxIndex: number }

/** The log of one member, open for writing. One process at a time. */
export class RaftStorage {
  readonly #folder: string
  readonly #disk: RaftDisk
  readonly #group: string
  readonly #owner: string
  readonly #segmentBytes: number
  #hardState: HardState
  /** The last entry on disk. */
  #end: { readonly index: number; readonly term: number }
  #closed: Closed[]
  /** The segment that is written to. */
  #number: number
  #maxIndex: number
  #bytes: number
  #sequence: number
  #file: AppendFile
  #failure: { readonly thrown: unknown } | undefined

  private constructor(
    place: { folder: string; disk: RaftDisk; owner: string; segmentBytes: number },
    found: Found,
  ) {
    const { content, segments } = found
    const last = segments.at(-1)
    this.#folder = place.folder
    this.#disk = place.disk
    this.#owner = place.owner
    this.#segmentBytes = place.segmentBytes
    this.#group = content.group
    this.#hardState = content.hardState
    this.#end = { index: lastIndex(content.log), term: lastTerm(content.log) }
    this.#closed = segments.slice(0, -1)
    this.#number = last?.number ?? 0
    this.#maxIndex = last?.maxIndex ?? 0
    this.#bytes = last?.bytes ?? 0
    this.#sequence = last?.records ?? 0
    this.#file = last === undefined ? this.#begin('fresh', content.log) : this.#reopen(last.bytes)
  }

  /**
   * Opens what `foundRaftGroup` or `joinRaftGroup` began. Throws `RAFT_LOG_ABSENT`, `RAFT_LOG_CORRUPT` or `RAFT_OTHER_MEMBER`:
   * a log that was copied to another host would let two members vote with one voice. `content.owner` is this member's id.
   */
  static open(
    folder: string,
    options: { readonly self: string; readonly disk?: RaftDisk; readonly segmentBytes?: number },
  ): { readonly storage: RaftStorage; readonly content: StorageContent & { readonly owner: string } } {
    const { disk = realDisk, segmentBytes = SEGMENT_BYTES } = options
    const found = readFolder(folder, disk)
    if (found === undefined) {
      throw new Fault('RAFT_LOG_ABSENT', `Cannot open the consensus log: there is none in "${folder}"`)
    }
    const { content } = found
    if (content.owner !== undefined && nameOf(content.owner) !== options.self) {
      throw new Fault(
        'RAFT_OTHER_MEMBER',
        `Cannot open the consensus log in "${folder}" as "${options.self}": it belongs to "${content.owner}"`,
        { details: { folder, owner: content.owner, self: options.self } },
      )
    }
    const owner = content.owner ?? memberNamed(content.snapshot.configuration, options.self) ?? options.self
    const storage = new RaftStorage({ folder, disk, owner, segmentBytes }, found)
    storage.#repair(found)
    return { storage, content: { ...content, owner } }
  }

  /** Makes changes durable, in order, with one fsync where there is no snapshot among them. A throw is final. */
  write(changes: readonly DurableChange[]): void {
    if (this.#failure !== undefined) throw this.#failure.thrown
    try {
      let plain: PlainChange[] = []
      for (const change of changes) {
        if (change.kind !== 'snapshot') {
          plain.push(change)
          continue
        }
        this.#appendChanges(plain)
        plain = []
        this.#takeSnapshot(change)
      }
      this.#appendChanges(plain)
    } catch (thrown) {
      this.#failure = { thrown }
      throw thrown
    }
  }

  close(): void {
    this.#file.close()
  }

  #appendChanges(changes: readonly PlainChange[]): void {
    if (changes.length === 0) return
    if (this.#bytes >= this.#segmentBytes) this.#roll('continued')
    this.#append(encodeChanges(changes))
    for (const change of changes) {
      if (change.kind === 'hard-state') this.#hardState = change.hardState
      else this.#note(change.entries)
    }
  }

  #note(entries: readonly Entry[]): void {
    const last = entries.at(-1)
    if (last === undefined) return
    this.#end = { index: last.index, term: last.term }
    this.#maxIndex = Math.max(this.#maxIndex, last.index)
  }

  #append(payload: Uint8Array): void {
    this.#sequence += 1
    const record = encodeRecord(this.#sequence, payload)
    this.#file.append(record)
    this.#file.sync()
    this.#bytes += record.length
  }

  #takeSnapshot(change: Extract<DurableChange, { readonly kind: 'snapshot' }>): void {
    const { snapshot, log, hardState } = change
    const isFresh = log.entries.length === 0
    const isVoteNew = hardState.term !== this.#hardState.term || hardState.vote !== this.#hardState.vote
    if (isVoteNew) this.#appendChanges([{ kind: 'hard-state', hardState }])
    const content = encodeSnapshot({ group: this.#group, snapshot })
    this.#disk.replace(join(this.#folder, SNAPSHOT_FILE), content)
    if (isFresh) {
      this.#end = { index: log.baseIndex, term: log.baseTerm }
      this.#roll('fresh')
    }
    this.#deleteThrough(log.baseIndex)
  }

  /** Closes the segment and begins the next one. */
  #roll(kind: SegmentHead['kind']): void {
    const closing = this.#file
    this.#closed.push({ number: this.#number, maxIndex: kind === 'fresh' ? 0 : this.#maxIndex })
    // What a fresh segment makes void need not be kept, whatever index it wrote.
    if (kind === 'fresh') this.#closed = this.#closed.map(({ number }) => ({ number, maxIndex: 0 }))
    this.#file = this.#begin(kind)
    // Order: last, so that there is an open file to close also when the new one could not be made.
    closing.close()
  }

  #begin(kind: SegmentHead['kind'], log?: RaftLog): AppendFile {
    const entries = log?.entries ?? []
    const after = log === undefined ? this.#end : { index: log.baseIndex, term: log.baseTerm }
    this.#number += 1
    const identity = { group: this.#group, owner: this.#owner, number: this.#number }
    const payload = encodeHead({ ...identity, hardState: this.#hardState, after, kind }, entries)
    const record = encodeRecord(1, payload)
    this.#disk.replace(this.#path(this.#number), record)
    this.#sequence = 1
    this.#bytes = record.length
    this.#maxIndex = entries.at(-1)?.index ?? 0
    return this.#disk.open(this.#path(this.#number))
  }

  /**
   * Order: before anything rests on it, what was read is written anew, up to its last good record. The process before may have died
   * between a write and its fsync, or because that fsync failed: then it stands in the memory of the kernel alone, and another
   * fsync need not change that.
   */
  #reopen(bytes: number): AppendFile {
    const path = this.#path(this.#number)
    this.#disk.replace(path, (this.#disk.read(path) ?? new Uint8Array()).subarray(0, bytes))
    return this.#disk.open(path)
  }

  #deleteThrough(baseIndex: number): void {
    let gone = 0
    for (const { number, maxIndex } of this.#closed) {
      if (maxIndex > baseIndex) break
      this.#disk.remove(this.#path(number))
      gone += 1
    }
    if (gone === 0) return
    this.#closed = this.#closed.slice(gone)
    this.#disk.syncFolder(this.#folder)
  }

  /** What a crash left behind. */
  #repair({ content, segments, leftovers, isBehindSnapshot }: Found): void {
    if (segments.length === 0) {
      this.#disk.remove(join(this.#folder, SINGLE_FILE))
      this.#disk.syncFolder(this.#folder)
      return
    }
    for (const file of leftovers) this.#disk.remove(join(this.#folder, file))
    if (leftovers.length > 0) this.#disk.syncFolder(this.#folder)
    if (isBehindSnapshot) {
      this.#roll('fresh')
      this.#deleteThrough(content.snapshot.index)
    } else if (content.owner === undefined) this.#append(encodeOwner(this.#owner))
  }

  #path(number: number): string {
    return join(this.#folder, segmentFile(number))
  }
}
