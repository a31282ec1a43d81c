import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createMemoryDisk, type MemoryDisk } from '../../../test/support/memory-disk.ts'
import type { DurableChange } from '../../raft/effect.ts'
import type { Entry } from '../../raft/message.ts'
import { codeOf } from '../../std/fault.ts'
import { foundRaftGroup, openRaftStorage, RaftStorage, type StorageContent } from './storage.ts'

const LOG = '/r/raft.log'
const SNAPSHOT = '/r/raft.snapshot'
const names = ['n1', 'n2', 'n3']
const voters = names.map((name) => ({ name, incarnation: 'i' }))
const ids = names.map((name) => `${name}#i`)

function founded(): MemoryDisk {
  const disk = createMemoryDisk()
  foundRaftGroup('/r', { groupId: 'g', voters }, disk)
  return disk
}

const entry = (index: number, term: number): Entry => ({
  index,
  term,
  kind: 'command',
  body: `${index}@${term} ü\u0000"`,
})
const entries = (...list: readonly Entry[]): DurableChange => ({ kind: 'entries', entries: list })
const hardState = (term: number, vote?: string): DurableChange => ({
  kind: 'hard-state',
  hardState: vote === undefined ? { term } : { term, vote },
})

function open(disk: MemoryDisk): { storage: RaftStorage; content: StorageContent } {
  return RaftStorage.open('/r', { self: 'n1', disk })
}

function codeOfOpen(disk: MemoryDisk, self = 'n1'): string | undefined {
  try {
    RaftStorage.open('/r', { self, disk })
    return undefined
  } catch (thrown) {
    return codeOf(thrown)
  }
}

describe('founding a group', () => {
  it('is the same for every member and may be repeated', () => {
    const disk = createMemoryDisk()
    expect(openRaftStorage('/r', disk)).toEqual({ kind: 'absent' })
    foundRaftGroup('/r', { groupId: 'g', voters: voters.toReversed() }, disk)
    const files = [LOG, SNAPSHOT].map((path) => disk.read(path))
    foundRaftGroup('/r', { groupId: 'g', voters }, disk)
    expect([LOG, SNAPSHOT].map((path) => disk.read(path))).toEqual(files)
    const found = openRaftStorage('/r', disk)
    expect(found).toMatchObject({ kind: 'group', groupId: 'g' })
    expect(found).toMatchObject({
      content: { snapshot: { configuration: { voters: ids } }, hardState: { term: 0 } },
    })
  })

  it('refuses a folder in which another group lives', () => {
    const disk = founded()
    expect(() => foundRaftGroup('/r', { groupId: 'other', voters }, disk)).toThrow(
      expect.objectContaining({ code: 'RAFT_GROUP_EXISTS' }),
    )
  })

  it('that a crash interrupted has not happened', () => {
    const disk = founded()
    const snapshot = disk.read(SNAPSHOT) as Uint8Array
    const half = createMemoryDisk()
    half.setBytes(SNAPSHOT, snapshot)
    expect(openRaftStorage('/r', half)).toEqual({ kind: 'absent' })
    foundRaftGroup('/r', { groupId: 'g', voters }, half)
    expect(openRaftStorage('/r', half).kind).toBe('group')
  })
})

describe('the log', () => {
  it('keeps term, vote and entries, and overwrites a tail that was replaced', () => {
    const disk = founded()
    const { storage } = open(disk)
    storage.write([hardState(1, 'n1'), entries(entry(1, 1), entry(2, 1), entry(3, 1))])
    storage.write([hardState(3), hardState(3, 'n2'), entries(entry(2, 3))])
    storage.write([entries(entry(3, 3), entry(4, 3))])
    disk.crash()
    const { content } = open(disk)
    expect(content.hardState).toEqual({ term: 3, vote: 'n2' })
    expect(content.log.entries).toEqual([entry(1, 1), entry(2, 3), entry(3, 3), entry(4, 3)])
  })

  it('costs one fsync for everything that is written together', () => {
    const disk = founded()
    const { storage } = open(disk)
    const before = disk.syncs()
    storage.write([hardState(1, 'n1'), entries(entry(1, 1)), entries(entry(2, 1))])
    expect(disk.syncs() - before).toBe(1)
  })

  it('belongs to one member: opened by another it refuses', () => {
    const disk = founded()
    open(disk)
    expect(codeOfOpen(disk, 'n2')).toBe('RAFT_OTHER_MEMBER')
    expect(codeOfOpen(disk)).toBeUndefined()
  })

  it('cannot be opened where there is none', () => {
    expect(codeOfOpen(createMemoryDisk())).toBe('RAFT_LOG_ABSENT')
  })

  it('forgets a write that was cut off at any byte, and only that one', () => {
    const disk = founded()
    const { storage } = open(disk)
    storage.write([hardState(1, 'n1'), entries(entry(1, 1))])
    const kept = disk.read(LOG) as Uint8Array
    storage.write([hardState(2, 'n2'), entries(entry(2, 2))])
    const whole = disk.read(LOG) as Uint8Array
    for (let length = kept.length; length < whole.length; length += 1) {
      const torn = createMemoryDisk()
      torn.setBytes(SNAPSHOT, disk.read(SNAPSHOT) as Uint8Array)
      torn.setBytes(LOG, whole.slice(0, length))
      const { storage: repaired, content } = open(torn)
      expect(content.hardState).toEqual({ term: 1, vote: 'n1' })
      expect(content.log.entries).toEqual([entry(1, 1)])
      expect(content.tornBytes).toBe(length - kept.length)
      // What is written after the repair is read again.
      repaired.write([hardState(5), entries(entry(2, 5))])
      expect(open(torn).content).toMatchObject({
        hardState: { term: 5 },
        log: { entries: [entry(1, 1), entry(2, 5)] },
        tornBytes: 0,
      })
    }
  })

  it('refuses to go on when any byte before the last write has rotted', () => {
    const disk = founded()
    const { storage } = open(disk)
    storage.write([hardState(1, 'n1'), entries(entry(1, 1))])
    storage.write([entries(entry(2, 1))])
    const kept = (disk.read(LOG) as Uint8Array).length
    storage.write([entries(entry(3, 1))])
    const whole = disk.read(LOG) as Uint8Array
    for (let at = 0; at < kept; at += 1) {
      const rotten = createMemoryDisk()
      rotten.setBytes(SNAPSHOT, disk.read(SNAPSHOT) as Uint8Array)
      const bytes = whole.slice()
      bytes[at] = (bytes[at] ?? 0) ^ 0x10
      rotten.setBytes(LOG, bytes)
      expect([at, codeOfOpen(rotten)]).toEqual([at, 'RAFT_LOG_CORRUPT'])
      expect(openRaftStorage('/r', rotten)).toMatchObject({
        kind: 'corrupt',
        fault: { code: 'RAFT_LOG_CORRUPT' },
      })
    }
  })

  it('refuses a broken snapshot, a lost log, and a log of another group', () => {
    const other = createMemoryDisk()
    foundRaftGroup('/r', { groupId: 'other', voters }, other)
    const mixed = founded()
    mixed.setBytes(SNAPSHOT, other.read(SNAPSHOT) as Uint8Array)
    expect(codeOfOpen(mixed)).toBe('RAFT_LOG_CORRUPT')

    const broken = founded()
    broken.setBytes(SNAPSHOT, (broken.read(SNAPSHOT) as Uint8Array).slice(0, -1))
    expect(codeOfOpen(broken)).toBe('RAFT_LOG_CORRUPT')

    const lost = founded()
    open(lost).storage.write([snapshotChange(3, [entry(4, 2)])])
    const half = createMemoryDisk()
    half.setBytes(SNAPSHOT, lost.read(SNAPSHOT) as Uint8Array)
    expect(codeOfOpen(half)).toBe('RAFT_LOG_CORRUPT')
  })

  it('throws what the disk throws', () => {
    for (const call of ['append', 'sync'] as const) {
      const disk = founded()
      const { storage } = open(disk)
      disk.failOn(call)
      expect(() => storage.write([hardState(1, 'n1')])).toThrow('EIO')
    }
  })
})

function snapshotChange(index: number, kept: readonly Entry[]): DurableChange {
  const configuration = { voters: ids, learners: [] }
  return {
    kind: 'snapshot',
    snapshot: { index, term: 2, configuration, body: `state after ${index}` },
    log: { baseIndex: index, baseTerm: 2, entries: kept },
    hardState: { term: 2, vote: 'n1' },
  }
}

describe('a snapshot', () => {
  it('takes the place of the log, together with what was written before and after it', () => {
    const disk = founded()
    const { storage } = open(disk)
    storage.write([hardState(2, 'n1'), entries(entry(1, 1), entry(2, 2), entry(3, 2))])
    storage.write([entries(entry(4, 2)), snapshotChange(3, [entry(4, 2)]), entries(entry(5, 2))])
    storage.write([entries(entry(6, 2))])
    disk.crash()
    const { content } = open(disk)
    expect(content.snapshot).toMatchObject({ index: 3, term: 2, body: 'state after 3' })
    expect(content.log).toEqual({
      baseIndex: 3,
      baseTerm: 2,
      entries: [entry(4, 2), entry(5, 2), entry(6, 2)],
    })
    expect(content.hardState).toEqual({ term: 2, vote: 'n1' })
  })

  it('that became durable without its log makes the log empty where it does not fit, and leaves it where it does', () => {
    for (const term of [1, 2]) {
      const disk = founded()
      const { storage } = open(disk)
      storage.write([hardState(2), entries(entry(1, 1), entry(2, 1), entry(3, term), entry(4, term))])
      const other = founded()
      open(other).storage.write([snapshotChange(3, [])])
      disk.setBytes(SNAPSHOT, other.read(SNAPSHOT) as Uint8Array)
      const { storage: again, content } = open(disk)
      const fits = term === 2
      expect(content.log.entries).toEqual(fits ? [entry(1, 1), entry(2, 1), entry(3, 2), entry(4, 2)] : [])
      again.write([entries(entry(fits ? 5 : 4, 2))])
      expect(open(disk).content.log.entries.at(-1)).toEqual(entry(fits ? 5 : 4, 2))
    }
  })
})

describe('on a real disk', () => {
  it('the log is a file of mode 0600 that another start reads, also after a torn write', () => {
    const root = mkdtempSync(join(tmpdir(), 'metako-storage-'))
    try {
      const folder = join(root, 'a', 'raft')
      foundRaftGroup(folder, { groupId: 'g', voters })
      const first = RaftStorage.open(folder, { self: 'n1' }).storage
      first.write([hardState(1, 'n1'), entries(entry(1, 1))])
      first.write([snapshotChange(1, []), entries(entry(2, 2))])
      first.close()
      const path = join(folder, 'raft.log')
      expect(statSync(path).mode & 0o777).toBe(0o600)
      const size = readFileSync(path).length
      const second = RaftStorage.open(folder, { self: 'n1' })
      expect(second.content.log.entries).toEqual([entry(2, 2)])
      second.storage.write([entries(entry(3, 2))])
      second.storage.close()
      expect(readFileSync(path).length).toBeGreaterThan(size)
      truncateSync(path, readFileSync(path).length - 1)
      const third = RaftStorage.open(folder, { self: 'n1' })
      expect(third.content.log.entries).toEqual([entry(2, 2)])
      third.storage.close()
      expect(readFileSync(path).length).toBe(size)
    } finally {
      rmSync(root, { recursive: true, force: true })
    }
  })

  it('a log whose process was killed has space behind its end, which is no part of it', () => {
    const root = mkdtempSync(join(tmpdir(), 'metako-storage-'))
    try {
      foundRaftGroup(root, { groupId: 'g', voters })
      const killed = RaftStorage.open(root, { self: 'n1' }).storage
      killed.write([hardState(1, 'n1'), entries(entry(1, 1))])
      const path = join(root, 'raft.log')
      expect(readFileSync(path).at(-1)).toBe(0)
      const next = RaftStorage.open(root, { self: 'n1' })
      expect(next.content).toMatchObject({ tornBytes: 0, log: { entries: [entry(1, 1)] } })
      const length = readFileSync(path).length
      next.storage.write([entries(entry(2, 1))])
      // Nothing grew, so nothing but the record had to reach the disk.
      expect(readFileSync(path).length).toBe(length)
      next.storage.close()
      expect(readFileSync(path).at(-1)).not.toBe(0)
      const last = RaftStorage.open(root, { self: 'n1' })
      expect(last.content.log.entries).toEqual([entry(1, 1), entry(2, 1)])
      last.storage.close()
    } finally {
      rmSync(root, { recursive: true, force: true })
    }
  })
})
