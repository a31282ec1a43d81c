import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Lsn } from '../model/lsn.ts'
import { crc32c } from '../std/crc32c.ts'
import { MiB } from '../std/units.ts'
import { segmentFileName } from './timeline-history.ts'
import { walRecords, type WalRecord } from './wal-reader.ts'

const SEGMENT = MiB
const PAGE = 8192
const START = 16n * BigInt(SEGMENT)

/** Writes WAL as PostgreSQL does: records cut at page ends, page headers in between, each record linked to the one before. */
class WalWriter {
  readonly bytes = Buffer.alloc(3 * SEGMENT)
  #at = 0
  #previous = START - 8n

  get lsn(): bigint {
    return START + BigInt(this.#at)
  }

  /** Returns where the record begins. */
  add(options: { xid: number; length: number; manager?: number; flags?: number }): bigint {
    this.#openPage(0, 0)
    const record = Buffer.alloc(24 + options.length, options.xid & 0xff)
    record.writeUInt32LE(record.length, 0)
    record.writeUInt32LE(options.xid, 4)
    record.writeBigUInt64LE(this.#previous, 8)
    record.writeUInt16LE(options.flags ?? 0, 16)
    record.writeUInt8(options.manager ?? 1, 17)
    record.writeUInt16LE(0, 18)
    record.writeUInt32LE(crc32c(record.subarray(0, 20), crc32c(record.subarray(24))), 20)
    const lsn = this.lsn
    this.#previous = lsn
    for (let done = 0; done < record.length;) {
      if (this.#at % PAGE === 0) this.#openPage(1, record.length - done)
      const room = PAGE - (this.#at % PAGE)
      const taken = record.copy(this.bytes, this.#at, done, Math.min(done + room, record.length))
      done += taken
      this.#at += taken
    }
    this.#at = (this.#at + 7) & ~7
    return lsn
  }

  skipTo(offset: number): void {
    this.#at = offset
  }

  openPage(flags: number): void {
    this.#openPage(flags, 0)
  }

  #openPage(flags: number, remainder: number): void {
    if (this.#at % PAGE !== 0) return
    const isFirst = this.#at % SEGMENT === 0
    this.bytes.writeUInt16LE(0xd118, this.#at)
    this.bytes.writeUInt16LE(flags | (isFirst ? 2 : 0), this.#at + 2)
    this.bytes.writeUInt32LE(1, this.#at + 4)
    this.bytes.writeBigUInt64LE(this.lsn, this.#at + 8)
    this.bytes.writeUInt32LE(remainder, this.#at + 16)
    this.#at += isFirst ? 40 : 24
  }
}

describe('reading WAL', () => {
  let dataDir: string
  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), 'wal-'))
    mkdirSync(join(dataDir, 'pg_wal'))
  })
  afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

  const save = (writer: WalWriter, segments = 3) => {
    for (let index = 0; index < segments; index += 1) {
      const name = segmentFileName(1, START + BigInt(index * SEGMENT), SEGMENT)
      writeFileSync(
        join(dataDir, 'pg_wal', name),
        writer.bytes.subarray(index * SEGMENT, (index + 1) * SEGMENT),
      )
    }
  }
  const read = async (from: bigint): Promise<WalRecord[]> => {
    const records: WalRecord[] = []
    const position = { dataDir, timeline: 1, segmentBytes: SEGMENT, from: from as Lsn }
    for await (const record of walRecords(position)) records.push(record)
    return records
  }

  it('follows records over pages and segments to the end, from any boundary', async () => {
    const writer = new WalWriter()
    const lengths = [10, 8152, 1, 30_000, 3, SEGMENT, 40]
    const begins = lengths.map((length, index) => writer.add({ xid: index + 1, length }))
    save(writer)
    const records = await read(START)
    expect(records.map(({ lsn }) => lsn)).toEqual(begins)
    expect(records.map(({ xid }) => xid)).toEqual([1, 2, 3, 4, 5, 6, 7])
    expect(records.map(({ content }) => content.length)).toEqual(lengths)
    expect(records.at(-1)?.endLsn).toBe(writer.lsn)
    expect((await read(begins[3] as bigint)).map(({ xid }) => xid)).toEqual([4, 5, 6, 7])
  })

  it('ends before a record whose checksum is wrong', async () => {
    const writer = new WalWriter()
    const begins = [1, 2, 3].map((xid) => writer.add({ xid, length: 100 }))
    const at = Number((begins[1] as bigint) - START) + 60
    writer.bytes[at] = (writer.bytes[at] as number) ^ 1
    save(writer)
    expect((await read(START)).map(({ xid }) => xid)).toEqual([1])
  })

  it('ends before a record that does not link back: old WAL in a recycled segment', async () => {
    const writer = new WalWriter()
    writer.add({ xid: 1, length: 100 })
    const stale = new WalWriter()
    stale.add({ xid: 8, length: 40 })
    stale.add({ xid: 7, length: 8 })
    stale.add({ xid: 9, length: 20 })
    // Whole and with a right checksum, but written when another record stood before it.
    stale.bytes.copy(writer.bytes, Number(writer.lsn - START), 40 + 64 + 32, 40 + 64 + 32 + 48)
    save(writer)
    expect((await read(START)).map(({ xid }) => xid)).toEqual([1])
  })

  it('ends where the rest of a record is missing', async () => {
    const writer = new WalWriter()
    writer.add({ xid: 1, length: 100 })
    writer.add({ xid: 2, length: 2 * SEGMENT })
    save(writer, 1)
    expect((await read(START)).map(({ xid }) => xid)).toEqual([1])
  })

  it('goes on in the next segment after a switch', async () => {
    const writer = new WalWriter()
    writer.add({ xid: 1, length: 100 })
    writer.add({ xid: 0, length: 0, manager: 0, flags: 0x40 })
    writer.skipTo(SEGMENT)
    writer.add({ xid: 2, length: 100 })
    save(writer)
    expect((await read(START)).map(({ xid }) => xid)).toEqual([1, 0, 2])
  })

  it('goes on behind a record that a crash cut off and PostgreSQL wrote over', async () => {
    const writer = new WalWriter()
    writer.add({ xid: 1, length: 8000 })
    // Cut off: only what fits the page is there. The next page says that it replaces the rest.
    const cut = Number(writer.lsn - START)
    writer.bytes.writeUInt32LE(5000, cut)
    writer.skipTo(PAGE)
    writer.openPage(8)
    writer.add({ xid: 3, length: 50 })
    save(writer)
    expect((await read(START)).map(({ xid }) => xid)).toEqual([1, 3])
  })
})
