import type { DurableChange, HardState } from '../../raft/effect.ts'
import { EMPTY_LOG, lastTerm, termAt, type RaftLog } from '../../raft/log.ts'
import type { Configuration, Snapshot } from '../../raft/message.ts'
import { memberNamed, configurationFields, parseConfiguration } from '../../raft/configuration.ts'
import { isIncarnation, memberId, nameOf } from '../../raft/member-id.ts'
import { join } from '../../platform/disk.ts'
import { assert } from '../../std/assert.ts'
import { Fault, messageOf } from '../../std/fault.ts'
import { realDisk, type AppendFile, type RaftDisk } from './disk.ts'
import { decodeContent, encodeChanges, encodeContent, encodeOwner, type LogContent } from './log-payload.ts'
import { encodeRecord, scanRecords } from './record.ts'

const LOG_FILE = 'raft.log'
const SNAPSHOT_FILE = 'raft.snapshot'
const SNAPSHOT_FORMAT = 1

export type FoundStorage =
  /** Nothing was ever promised here. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'group'; readonly groupId: string; readonly content: StorageContent }
  /** `RAFT_LOG_CORRUPT`: this member must not vote again under its name with what is left. */
  | { readonly kind: 'corrupt'; readonly fault: Fault }

export type StorageContent = {
  readonly group: string
  /** Id of the member whose log this is; absent until the first start. */
  readonly owner?: string
  readonly hardState: HardState
  readonly snapshot: Snapshot
  readonly log: RaftLog
  /** Bytes of a write that a crash cut short; they were never acknowledged. */
  readonly tornBytes: number
}

/** Reads what a folder holds. Changes nothing. */
export function openRaftStorage(folder: string, disk: RaftDisk = realDisk): FoundStorage {
  try {
    const found = readContent(folder, disk)
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
  disk.replace(join(folder, SNAPSHOT_FILE), snapshotBytes(first.group, snapshot))
  const content = { ...identity, hardState: { term: 0 }, log: EMPTY_LOG }
  disk.replace(join(folder, LOG_FILE), encodeRecord(1, encodeContent(content)))
}

/** The log of one member, open for writing. One process at a time. */
export class RaftStorage {
  readonly #folder: string
  readonly #disk: RaftDisk
  readonly #group: string
  readonly #owner: string
  #file: AppendFile
  #sequence: number

  private constructor(options: {
    folder: string
    disk: RaftDisk
    group: string
    owner: string
    sequence: number
  }) {
    this.#folder = options.folder
    this.#disk = options.disk
    this.#group = options.group
    this.#owner = options.owner
    this.#sequence = options.sequence
    this.#file = options.disk.open(join(options.folder, LOG_FILE))
  }

  /**
   * Opens what `foundRaftGroup` began. Throws `RAFT_LOG_ABSENT`, `RAFT_LOG_CORRUPT` or `RAFT_OTHER_MEMBER`: a log that was
   * copied to another host would let two members vote with one voice. `content.owner` is the id that this member has.
   */
  static open(
    folder: string,
    options: { readonly self: string; readonly disk?: RaftDisk },
  ): { readonly storage: RaftStorage; readonly content: StorageContent & { readonly owner: string } } {
    const disk = options.disk ?? realDisk
    const found = readContent(folder, disk)
    if (found === undefined) {
      throw new Fault('RAFT_LOG_ABSENT', `Cannot open the consensus log: there is none in "${folder}"`)
    }
    const { content, payloads, validBytes, isBehindSnapshot } = found
    if (content.owner !== undefined && nameOf(content.owner) !== options.self) {
      throw new Fault(
        'RAFT_OTHER_MEMBER',
        `Cannot open the consensus log in "${folder}" as "${options.self}": it belongs to "${content.owner}"`,
        { details: { folder, owner: content.owner, self: options.self } },
      )
    }
    const { group } = content
    const owner = content.owner ?? memberNamed(content.snapshot.configuration, options.self) ?? options.self
    const storage = new RaftStorage({ folder, disk, group, owner, sequence: payloads })
    if (content.tornBytes > 0) storage.#file.truncate(validBytes)
    if (isBehindSnapshot) storage.#replaceLog({ ...content, owner })
    else if (content.owner === undefined) storage.#append(encodeOwner(owner))
    return { storage, content: { ...content, owner } }
  }

  /** Makes changes durable, in order, with one fsync where there is no snapshot among them. A throw is final. */
  write(changes: readonly DurableChange[]): void {
    let plain: Exclude<DurableChange, { kind: 'snapshot' }>[] = []
    for (const change of changes) {
      if (change.kind !== 'snapshot') {
        plain.push(change)
        continue
      }
      // A snapshot change holds everything, also what the changes before it brought.
      plain = []
      this.#replaceAll(change)
    }
    if (plain.length > 0) this.#append(encodeChanges(plain))
  }

  close(): void {
    this.#file.close()
  }

  #append(payload: Uint8Array): void {
    this.#sequence += 1
    this.#file.append(encodeRecord(this.#sequence, payload))
    this.#file.sync()
  }

  /** Order: the snapshot first. A crash in between leaves it with an older log, which the next start recognises. */
  #replaceAll(change: Extract<DurableChange, { kind: 'snapshot' }>): void {
    this.#disk.replace(join(this.#folder, SNAPSHOT_FILE), snapshotBytes(this.#group, change.snapshot))
    this.#replaceLog({
      group: this.#group,
      owner: this.#owner,
      hardState: change.hardState,
      log: change.log,
    })
  }

  #replaceLog(content: LogContent): void {
    this.#file.close()
    this.#disk.replace(join(this.#folder, LOG_FILE), encodeRecord(1, encodeContent(content)))
    this.#sequence = 1
    this.#file = this.#disk.open(join(this.#folder, LOG_FILE))
  }
}

type Found = {
  readonly content: StorageContent
  readonly payloads: number
  readonly validBytes: number
  readonly isBehindSnapshot: boolean
}

function readContent(folder: string, disk: RaftDisk): Found | undefined {
  const logBytes = disk.read(join(folder, LOG_FILE))
  const snapshotFile = disk.read(join(folder, SNAPSHOT_FILE))
  if (logBytes === undefined && snapshotFile === undefined) return undefined
  if (snapshotFile === undefined) throw corrupt(folder, 'the snapshot is missing')
  const { group, snapshot } = readSnapshot(folder, snapshotFile)
  if (logBytes === undefined) {
    if (snapshot.index > 0) throw corrupt(folder, 'the log is missing')
    return undefined
  }
  const scan = scanRecords(logBytes)
  if (scan.end === 'corrupt') throw corrupt(folder, `the record at byte ${scan.validBytes} is broken`)
  const file = readLog(folder, scan.payloads)
  if (file.group !== group) throw corrupt(folder, `log and snapshot are of different groups`)
  if (file.log.baseIndex > snapshot.index) {
    throw corrupt(folder, `entries ${snapshot.index + 1} to ${file.log.baseIndex} are missing`)
  }
  const isBehindSnapshot = termAt(file.log, snapshot.index) !== snapshot.term
  const log = isBehindSnapshot
    ? { baseIndex: snapshot.index, baseTerm: snapshot.term, entries: [] }
    : file.log
  const tornBytes = logBytes.length - scan.validBytes
  return {
    content: { ...file, log, snapshot, tornBytes },
    payloads: scan.payloads.length,
    validBytes: scan.validBytes,
    isBehindSnapshot,
  }
}

function readLog(folder: string, payloads: readonly Uint8Array[]): LogContent {
  try {
    const content = decodeContent(payloads)
    const { hardState, log } = content
    if (hardState.term < lastTerm(log)) {
      throw new Error(`the last entry is of term ${lastTerm(log)}, the current term is ${hardState.term}`)
    }
    return content
  } catch (error) {
    throw corrupt(folder, messageOf(error))
  }
}

function snapshotBytes(group: string, snapshot: Snapshot): Uint8Array {
  const configuration = configurationFields(snapshot.configuration)
  const text = JSON.stringify({ format: SNAPSHOT_FORMAT, group, ...snapshot, configuration })
  return encodeRecord(1, new TextEncoder().encode(text))
}

function readSnapshot(
  folder: string,
  bytes: Uint8Array,
): { readonly group: string; readonly snapshot: Snapshot } {
  const scan = scanRecords(bytes)
  const payload = scan.payloads[0]
  if (scan.end !== 'clean' || payload === undefined) throw corrupt(folder, 'the snapshot is broken')
  const parsed = JSON.parse(new TextDecoder('utf-8', { ignoreBOM: true }).decode(payload)) as Snapshot & {
    readonly format: number
    readonly group: string
  }
  if (parsed.format !== SNAPSHOT_FORMAT) {
    throw corrupt(folder, `the snapshot has format ${parsed.format}, this program reads ${SNAPSHOT_FORMAT}`)
  }
  const { group, index, term, body } = parsed
  const configuration = parseConfiguration(parsed.configuration)
  if (configuration === undefined)
    throw corrupt(folder, 'the snapshot names no members that this program understands')
  return { group, snapshot: { index, term, body, configuration } }
}

function corrupt(folder: string, reason: string): Fault {
  return new Fault(
    'RAFT_LOG_CORRUPT',
    `Cannot use the consensus log in "${folder}": ${reason}; keep a copy, remove the folder and let this node join the others as a new member`,
    { details: { folder, reason } },
  )
}
