import type { DurableChange, HardState } from '../../raft/effect.ts'
import { lastIndex, withEntries, type RaftLog } from '../../raft/log.ts'
import type { Entry } from '../../raft/message.ts'

export type PlainChange = Exclude<DurableChange, { readonly kind: 'snapshot' }>

/** What the log says, read from its first record to its last. */
export type LogContent = {
  readonly group: string
  /** Id of the member that this log belongs to; absent until the first start. */
  readonly owner?: string
  readonly hardState: HardState
  readonly log: RaftLog
}

/** What a segment says at its beginning, so that it can be read without those before it. */
export type SegmentHead = {
  readonly group: string
  readonly number: number
  readonly owner?: string
  readonly hardState: HardState
  /** The entry that its own entries follow. */
  readonly after: { readonly index: number; readonly term: number }
  /** `fresh`: what older segments say of entries counts no more. */
  readonly kind: 'fresh' | 'continued'
}

/** 1: one file. 2: segments. Raised when an older program could not read the file. */
const SINGLE_FILE_FORMAT = 1
const LOG_FORMAT = 2

/** One line of a payload. As JSON it can be read with `strings` when everything else has failed. */
type Line =
  | readonly ['group', number, string]
  | readonly ['segment', number]
  | readonly ['owner', string]
  | readonly ['base', number, number]
  | readonly ['after', number, number]
  | readonly ['hard-state', number, string | null]
  | readonly ['entry', number, number, Entry['kind'], string]

/** The first record of a segment, with the entries that it begins with. */
export function encodeHead(head: SegmentHead, entries: readonly Entry[] = []): Uint8Array {
  const { group, number, owner, hardState, after } = head
  const lines: Line[] = [
    ['group', LOG_FORMAT, group],
    ['segment', number],
  ]
  if (owner !== undefined) lines.push(['owner', owner])
  lines.push([head.kind === 'fresh' ? 'base' : 'after', after.index, after.term], hardStateLine(hardState))
  return encodeLines([...lines, ...entries.map(entryLine)])
}

/** A further record: what one flush adds. */
export function encodeChanges(changes: readonly PlainChange[]): Uint8Array {
  const lines: Line[] = []
  for (const change of changes) {
    if (change.kind === 'hard-state') lines.push(hardStateLine(change.hardState))
    else lines.push(...change.entries.map(entryLine))
  }
  return encodeLines(lines)
}

/** For the one line that is written outside of any flush. */
export function encodeOwner(owner: string): Uint8Array {
  return encodeLines([['owner', owner]])
}

/** Folds records, in order, into what holds now. Every method throws on anything that this program did not write. */
export class LogFold {
  #group: string | undefined
  #owner: string | undefined
  #hardState: HardState = { term: 0 }
  #log: RaftLog | undefined
  #run: Entry[] = []
  #segment: number | undefined
  #maxIndex = 0

  /** Takes one segment's records and returns the highest index that it wrote. */
  addSegment(number: number, payloads: readonly Uint8Array[]): number {
    this.#maxIndex = 0
    this.#segment = undefined
    for (const payload of payloads) for (const line of decodeLines(payload)) this.#take(line, LOG_FORMAT)
    if (this.#segment !== number) {
      throw new Error(`segment ${number} says that it is ${this.#segment ?? 'none'}`)
    }
    return this.#maxIndex
  }

  /** Takes the records of the one file of format 1. */
  addSingleFile(payloads: readonly Uint8Array[]): void {
    for (const payload of payloads) {
      for (const line of decodeLines(payload)) this.#take(line, SINGLE_FILE_FORMAT)
    }
  }

  content(): LogContent {
    this.#endRun()
    if (this.#group === undefined || this.#log === undefined) {
      throw new Error('the log does not name its group')
    }
    const content = { group: this.#group, hardState: this.#hardState, log: this.#log }
    return this.#owner === undefined ? content : { ...content, owner: this.#owner }
  }

  #take(line: Line, format: number): void {
    switch (line[0]) {
      case 'group':
        if (line[1] !== format)
          throw new Error(`the log has format ${line[1]}, this program reads ${LOG_FORMAT}`)
        if (this.#group !== undefined && this.#group !== line[2]) {
          throw new Error('its segments are of different groups')
        }
        this.#group = line[2]
        break
      case 'segment':
        this.#segment = line[1]
        break
      case 'owner':
        this.#owner = line[1]
        break
      case 'base':
        this.#run = []
        this.#log = { baseIndex: line[1], baseTerm: line[2], entries: [] }
        break
      case 'after':
        this.#continue(line[1], line[2])
        break
      case 'hard-state':
        this.#hardState = line[2] === null ? { term: line[1] } : { term: line[1], vote: line[2] }
        break
      case 'entry': {
        const [, index, term, kind, body] = line
        this.#takeEntry({ index, term, kind, body })
        break
      }
      default:
        throw new Error(`the log has a line that this program does not know: ${JSON.stringify(line[0])}`)
    }
  }

  /** A segment that follows another one must begin where that one ended. */
  #continue(index: number, term: number): void {
    this.#endRun()
    if (this.#log === undefined) {
      this.#log = { baseIndex: index, baseTerm: term, entries: [] }
      return
    }
    const end = lastIndex(this.#log)
    if (end !== index) throw new Error(`segment ${this.#segment} follows entry ${index}, there are ${end}`)
  }

  #takeEntry(entry: Entry): void {
    const log = this.#log
    if (log === undefined) throw new Error('an entry stands before the beginning of the log')
    this.#maxIndex = Math.max(this.#maxIndex, entry.index)
    if (entry.index > log.baseIndex) {
      // Appending one by one would copy the log each time.
      if (entry.index !== lastIndex(log) + this.#run.length + 1) this.#endRun()
      this.#run.push(entry)
      return
    }
    // It overwrote entries of segments that are deleted since: the log that is left begins after it.
    this.#run = []
    this.#log = { baseIndex: entry.index, baseTerm: entry.term, entries: [] }
  }

  #endRun(): void {
    if (this.#log !== undefined) this.#log = withEntries(this.#log, this.#run)
    this.#run = []
  }
}

function hardStateLine({ term, vote }: HardState): Line {
  return ['hard-state', term, vote ?? null]
}

function entryLine({ index, term, kind, body }: Entry): Line {
  return ['entry', index, term, kind, body]
}

function encodeLines(lines: readonly Line[]): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(lines))
}

/** The checksum has proven that the bytes are ours, so their shape is trusted. */
function decodeLines(payload: Uint8Array): readonly Line[] {
  return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(payload)) as Line[]
}
