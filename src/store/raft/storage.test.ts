import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createMemoryDisk, type MemoryDisk } from '../../../test/support/memory-disk.ts'
import type { DurableChange } from '../../raft/effect.ts'
import { entriesBetween, termAt, type RaftLog } from '../../raft/log.ts'
import type { Entry } from '../../raft/message.ts'
import { KiB } from '../../std/units.ts'
import { codeOf } from '../../std/fault.ts'
import type { StorageContent } from './read-log.ts'
import { foundRaftGroup, openRaftStorage, RaftStorage } from './storage.ts'

const LOG = '/r/raft-00000001.log'
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
  return RaftStorage.open('/r', { self: 'n1', disk, segmentBytes: 1 * KiB })
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

  it('that its process did not live to sync is durable before the next one rests on it', () => {
    const disk = founded()
    const { storage } = open(disk)
    storage.write([hardState(1)])
    // Killed between the write and its fsync, or the fsync failed: the next process reads what the next loss of power takes.
    disk.failOn('sync')
    expect(() => storage.write([hardState(2, 'n2#i'), entries(entry(1, 1))])).toThrow('EIO')
    disk.failOn(undefined)
    const next = open(disk)
    next.storage.write([entries(entry(2, 2))])
    const read = next.content
    disk.crash()
    const last = open(disk).content
    expect(last.hardState).toEqual(read.hardState)
    expect(entriesBetween(last.log, 0, 2)).toEqual([...entriesBetween(read.log, 0, 1), entry(2, 2)])
  })

  it('throws what the disk throws, and never tries again: a second fsync may lie', () => {
    for (const call of ['append', 'sync', 'replace'] as const) {
      const disk = founded()
      const { storage } = open(disk)
      disk.failOn(call)
      expect(() => storage.write([hardState(1, 'n1'), snapshotChange(0, [])])).toThrow('EIO')
      disk.failOn(undefined)
      const before = disk.calls.length
      expect(() => storage.write([hardState(1, 'n1')])).toThrow('EIO')
      expect(disk.calls).toHaveLength(before)
      storage.close()
    }
  })
})

function snapshotChange(index: number, kept: readonly Entry[], term = 2): DurableChange {
  const configuration = { voters: ids, learners: [] }
  return {
    kind: 'snapshot',
    snapshot: { index, term, configuration, body: `state after ${index}` },
    log: { baseIndex: index, baseTerm: term, entries: kept },
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
    // Entries behind the snapshot may still be there: only whole segments go.
    expect(entriesBetween(content.log, 3, 99)).toEqual([entry(4, 2), entry(5, 2), entry(6, 2)])
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

const segment = (number: number): string => `/r/raft-0000000${number}.log`
const big = (index: number, term: number): Entry => ({ ...entry(index, term), body: 'x'.repeat(300) })

/** What is behind the snapshot, without bodies. */
function tail(log: RaftLog, index: number): readonly string[] {
  return entriesBetween(log, index, 999).map((each) => `${each.index}@${each.term}`)
}

describe('segments', () => {
  it('are closed when they are long, and read as one log', () => {
    const disk = founded()
    const { storage } = open(disk)
    storage.write([hardState(1, 'n1')])
    for (let index = 1; index <= 10; index += 1) storage.write([entries(big(index, 1))])
    storage.write([hardState(2, 'n3')])
    const files = disk.list('/r').filter((path) => path.endsWith('.log'))
    expect(files).toEqual([segment(1), segment(2), segment(3), segment(4)])
    const closed = disk.read(segment(1))
    storage.write([entries(entry(3, 2))])
    disk.crash()
    const { content } = open(disk)
    expect(tail(content.log, 0)).toEqual(['1@1', '2@1', '3@2'])
    expect(content.hardState).toEqual({ term: 2, vote: 'n3' })
    expect(disk.read(segment(1))).toEqual(closed)
  })

  it('are deleted whole, and only those of which nothing is needed', () => {
    const disk = founded()
    const { storage } = open(disk)
    storage.write([hardState(2, 'n1')])
    for (let index = 1; index <= 10; index += 1) storage.write([entries(big(index, 1))])
    // The last entry of the first segment is overwritten later: what was there in the end is in the others.
    storage.write([entries(...[3, 4, 5, 6, 7, 8].map((index) => big(index, 2)))])
    storage.write([entries(entry(9, 2))])
    storage.write([
      {
        ...snapshotChange(
          5,
          [6, 7, 8, 9].map((index) => big(index, 2)),
        ),
      },
    ])
    expect(disk.list('/r')).not.toContain(segment(1))
    expect(disk.list('/r')).toContain(segment(2))
    const { content } = open(disk)
    expect(tail(content.log, 5)).toEqual(['6@2', '7@2', '8@2', '9@2'])
    expect(termAt(content.log, 5)).toBe(2)
    expect(content.hardState).toEqual({ term: 2, vote: 'n1' })
  })

  it('are read also where one ends before the entry that its head says it follows', () => {
    const disk = founded()
    const { storage } = open(disk)
    storage.write([hardState(2)])
    const run = (from: number, through: number, term: number): DurableChange =>
      entries(...Array.from({ length: through - from + 1 }, (_, at) => big(from + at, term)))
    for (let index = 1; index <= 7; index += 1) storage.write([run(index, index, 1)])
    // The segment that begins after entry 6 is overwritten from entry 3 on, and closed before it is as long again.
    storage.write([run(3, 5, 2)])
    storage.write([run(6, 6, 2)])
    storage.write([run(7, 9, 2)])
    storage.write([
      snapshotChange(
        6,
        [7, 8, 9].map((index) => big(index, 2)),
      ),
    ])
    const heads = disk
      .list('/r')
      .filter((path) => path.endsWith('.log'))
      .map((path) => /"(?:after|base)",\d+,\d+/.exec(new TextDecoder().decode(disk.read(path)))?.[0])
    expect(heads).toEqual(['"after",6,1', '"after",5,2', '"after",9,2'])
    const { content } = open(disk)
    expect(tail(content.log, 6)).toEqual(['7@2', '8@2', '9@2'])
    expect(termAt(content.log, 6)).toBe(2)
  })

  it('that a crash brought back after they were deleted are deleted again', () => {
    const disk = founded()
    const { storage } = open(disk)
    storage.write([hardState(2)])
    for (let index = 1; index <= 12; index += 1) storage.write([entries(big(index, 2))])
    const old = disk.read(segment(1)) as Uint8Array
    storage.write([
      snapshotChange(
        9,
        [10, 11, 12].map((index) => big(index, 2)),
      ),
    ])
    expect(disk.list('/r')).not.toContain(segment(2))
    disk.setBytes(segment(1), old)
    const { content } = open(disk)
    expect(tail(content.log, 9)).toEqual(['10@2', '11@2', '12@2'])
    expect(disk.list('/r')).not.toContain(segment(1))
  })

  it('of which one is missing or broken in the middle are refused, with the way out', () => {
    const make = (): MemoryDisk => {
      const disk = founded()
      const { storage } = open(disk)
      storage.write([hardState(1)])
      for (let index = 1; index <= 10; index += 1) storage.write([entries(big(index, 1))])
      return disk
    }
    const missing = make()
    missing.remove(segment(2))
    expect(codeOfOpen(missing)).toBe('RAFT_LOG_CORRUPT')
    for (const spoil of [
      (bytes: Uint8Array) => bytes.slice(0, -1),
      (bytes: Uint8Array) => bytes.with(bytes.length - 5, 0),
    ]) {
      const broken = make()
      broken.setBytes(segment(1), spoil(broken.read(segment(1)) as Uint8Array))
      const found = openRaftStorage('/r', broken)
      expect(found).toMatchObject({ kind: 'corrupt', fault: { code: 'RAFT_LOG_CORRUPT' } })
      expect(found.kind === 'corrupt' && found.fault.message).toMatch(/member remove NAME.*pg-metako join/)
    }
  })
})

it('can be closed also when a new segment could not be made', () => {
  for (let at = 1; at <= 6; at += 1) {
    const disk = founded()
    const { storage } = open(disk)
    disk.stopAt(at, { done: false })
    expect(() => storage.write([hardState(1, 'n1'), snapshotChange(3, [])])).toThrow('stopped')
    storage.close()
  }
})

describe('the one file of earlier releases', () => {
  /** What the release before wrote: term 2 with a vote for n2, and entries 1@1, 2@2 and 3@2. */
  function oldDisk(): MemoryDisk {
    const disk = createMemoryDisk()
    const text = readFileSync(new URL('../../../test/fixtures/raft-store-1.txt', import.meta.url), 'utf8')
    for (const line of text.trim().split('\n')) {
      const [name = '', hex = ''] = line.split(' ')
      disk.setBytes(`/r/${name}`, new Uint8Array(Buffer.from(hex, 'hex')))
    }
    return disk
  }
  const held = {
    owner: 'n1',
    hardState: { term: 2, vote: 'n2' },
    snapshot: { configuration: { voters: ['n1', 'n2', 'n3'], learners: [] } },
  }

  it('becomes a segment when it is opened, and its members have no incarnation', () => {
    const disk = oldDisk()
    expect(openRaftStorage('/r', disk)).toMatchObject({ kind: 'group', content: held })
    const { storage, content } = open(disk)
    expect(content).toMatchObject(held)
    expect(tail(content.log, 0)).toEqual(['1@1', '2@2', '3@2'])
    expect(disk.list('/r')).toEqual(['/r/raft.snapshot', segment(1)])
    storage.write([entries(entry(4, 2))])
    disk.crash()
    expect(tail(open(disk).content.log, 0)).toEqual(['1@1', '2@2', '3@2', '4@2'])
    expect(codeOfOpen(disk, 'n2')).toBe('RAFT_OTHER_MEMBER')
  })

  it('is migrated once, wherever a crash interrupts that', () => {
    for (let at = 1; at <= 3; at += 1) {
      for (const done of [true, false]) {
        const disk = oldDisk()
        disk.stopAt(at, { done })
        expect(() => open(disk)).toThrow('stopped')
        disk.crash(0, () => done)
        const { storage, content } = open(disk)
        expect(content).toMatchObject(held)
        storage.write([entries(entry(4, 2))])
        expect(tail(open(disk).content.log, 0)).toEqual(['1@1', '2@2', '3@2', '4@2'])
        expect(disk.list('/r')).toEqual(['/r/raft.snapshot', segment(1)])
      }
    }
  })
})

describe('a crash at any moment', () => {
  /** One flush after another, with all that a member does: votes, entries, overwriting, compaction, a leader's snapshot. */
  const flushes: readonly (readonly DurableChange[])[] = [
    [hardState(1, 'n1'), entries(big(1, 1), big(2, 1))],
    [entries(big(3, 1), big(4, 1))],
    [hardState(2, 'n2'), entries(big(4, 2))],
    [entries(big(5, 2), big(6, 2)), snapshotChange(3, [big(4, 2), big(5, 2), big(6, 2)], 1)],
    [entries(big(7, 2))],
    [snapshotChange(5, [big(6, 2), big(7, 2)])],
    [entries(big(8, 2), big(9, 2))],
    [hardState(2, 'n1'), snapshotChange(20, [])],
    [entries(entry(21, 2), entry(22, 2))],
    [hardState(3)],
  ]
  const after = [
    { vote: 'n1', term: 1, snapshot: 0, tail: ['1@1', '2@1'] },
    { vote: 'n1', term: 1, snapshot: 0, tail: ['1@1', '2@1', '3@1', '4@1'] },
    { vote: 'n2', term: 2, snapshot: 0, tail: ['1@1', '2@1', '3@1', '4@2'] },
    { vote: 'n1', term: 2, snapshot: 3, tail: ['4@2', '5@2', '6@2'] },
    { vote: 'n1', term: 2, snapshot: 3, tail: ['4@2', '5@2', '6@2', '7@2'] },
    { vote: 'n1', term: 2, snapshot: 5, tail: ['6@2', '7@2'] },
    { vote: 'n1', term: 2, snapshot: 5, tail: ['6@2', '7@2', '8@2', '9@2'] },
    { vote: 'n1', term: 2, snapshot: 20, tail: [] },
    { vote: 'n1', term: 2, snapshot: 20, tail: ['21@2', '22@2'] },
    { vote: undefined, term: 3, snapshot: 20, tail: ['21@2', '22@2'] },
  ]
  const stateOf = ({ content }: { readonly content: StorageContent }) => ({
    vote: content.hardState.vote,
    term: content.hardState.term,
    snapshot: content.snapshot.index,
    tail: tail(content.log, content.snapshot.index),
  })

  it('leaves what was acknowledged, or what was being written when it came', () => {
    const whole = founded()
    const { storage: all } = open(whole)
    const opened = whole.calls.length
    for (const [index, flush] of flushes.entries()) {
      all.write(flush)
      expect(stateOf(open(copyOf(whole)))).toEqual(after[index])
    }
    const calls = whole.calls.length - opened
    expect(new Set(whole.calls)).toContain('remove')
    let crashes = 0
    for (let at = 1; at <= calls; at += 1) {
      for (const done of [true, false]) {
        for (const kept of [0, 7, 400]) crashes += stopAt({ at, done, kept }) ? 1 : 0
      }
    }
    expect(crashes).toBe(calls * 6)
  })

  function stopAt(moment: { readonly at: number; readonly done: boolean; readonly kept: number }): boolean {
    const disk = founded()
    const { storage } = open(disk)
    disk.stopAt(moment.at, moment)
    let acknowledged = -1
    let hasStopped = false
    try {
      for (const [index, flush] of flushes.entries()) {
        storage.write(flush)
        acknowledged = index
      }
    } catch {
      hasStopped = true
    }
    let undone = 0
    disk.crash(moment.kept, () => (undone += 1) % 2 === 1)
    const found = stateOf(open(disk))
    const known = after[acknowledged]
    // A flush of several changes may have come half: that is a state of which nobody was told anything.
    const mayBeHalf = (flushes[acknowledged + 1] ?? []).length > 1
    const isExpected = isSame(found, known) || isSame(found, after[acknowledged + 1]) || mayBeHalf
    expect({ moment, acknowledged, found, isExpected: isExpected || known === undefined }).toEqual({
      moment,
      acknowledged,
      found,
      isExpected: true,
    })
    const end = found.tail.length + found.snapshot
    expect(found.term).toBeGreaterThanOrEqual(known?.term ?? 0)
    expect(end).toBeGreaterThanOrEqual((known?.tail.length ?? 0) + (known?.snapshot ?? 0))
    // It goes on from there.
    open(disk).storage.write([hardState(9), entries(entry(end + 1, 9))])
    expect(stateOf(open(disk)).tail.at(-1)).toBe(`${end + 1}@9`)
    return hasStopped
  }

  function isSame(left: unknown, right: unknown): boolean {
    return JSON.stringify(left) === JSON.stringify(right)
  }

  function copyOf(disk: MemoryDisk): MemoryDisk {
    const copy = createMemoryDisk()
    for (const [path, { bytes }] of disk.files) copy.setBytes(path, bytes.slice())
    return copy
  }
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
      const path = join(folder, 'raft-00000002.log')
      expect(statSync(path).mode & 0o777).toBe(0o600)
      expect(readdirSync(folder).toSorted()).toEqual(['raft-00000002.log', 'raft.snapshot'])
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
      const path = join(root, 'raft-00000001.log')
      expect(readFileSync(path).at(-1)).toBe(0)
      const next = RaftStorage.open(root, { self: 'n1' })
      expect(next.content).toMatchObject({ tornBytes: 0, log: { entries: [entry(1, 1)] } })
      // It was written anew, without what was only space.
      expect(readFileSync(path).at(-1)).not.toBe(0)
      next.storage.write([entries(entry(2, 1))])
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
