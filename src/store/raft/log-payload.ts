import type { DurableChange, HardState } from '../../raft/effect.ts'
import { lastIndex, withEntries, type RaftLog } from '../../raft/log.ts'
import type { Entry } from '../../raft/message.ts'

/** What the log file says, read from its first record to its last. */
export type LogContent = {
  readonly group: string
  /** The member that this log belongs to; absent until the first start. */
  readonly owner?: string
  readonly hardState: HardState
  readonly log: RaftLog
}

/** Raised when an older program could not read the file. */
const LOG_FORMAT = 1

/** One line of a payload. As JSON it can be read with `strings` when everything else has failed. */
type Line =
  | readonly ['group', number, string]
  | readonly ['owner', string]
  | readonly ['base', number, number]
  | readonly ['hard-state', number, string | null]
  | readonly ['entry', number, number, Entry['kind'], string]

/** The first record of a file: all of it. */
export function encodeContent(content: LogContent): Uint8Array {
  const { group, owner, hardState, log } = content
  const lines: Line[] = [['group', LOG_FORMAT, group]]
  if (owner !== undefined) lines.push(['owner', owner])
  lines.push(['base', log.baseIndex, log.baseTerm], hardStateLine(hardState), ...log.entries.map(entryLine))
  return encodeLines(lines)
}

/** A further record: what one flush adds. */
export function encodeChanges(changes: readonly Exclude<DurableChange, { kind: 'snapshot' }>[]): Uint8Array {
  const lines: Line[] = []
  for (const change of changes) {
    if (change.kind === 'hard-state') lines.push(hardStateLine(change.hardState))
    else lines.push(...change.entries.map(entryLine))
  }
  return encodeLines(lines)
}

/** Folds all records into what holds now. Throws on anything that this program did not write. */
export function decodeContent(payloads: readonly Uint8Array[]): LogContent {
  let group: string | undefined
  let owner: string | undefined
  let hardState: HardState = { term: 0 }
  let log: RaftLog = { baseIndex: 0, baseTerm: 0, entries: [] }
  let run: Entry[] = []
  const endRun = (): void => {
    log = withEntries(log, run)
    run = []
  }
  for (const payload of payloads) {
    for (const line of decodeLines(payload)) {
      switch (line[0]) {
        case 'group':
          if (line[1] !== LOG_FORMAT)
            throw new Error(`The log has format ${line[1]}, this program reads ${LOG_FORMAT}`)
          group = line[2]
          break
        case 'owner':
          owner = line[1]
          break
        case 'base':
          log = { baseIndex: line[1], baseTerm: line[2], entries: [] }
          break
        case 'hard-state':
          hardState = line[2] === null ? { term: line[1] } : { term: line[1], vote: line[2] }
          break
        case 'entry': {
          const [, index, term, kind, body] = line
          // Appending one by one would copy the log each time.
          if (index !== lastIndex(log) + run.length + 1) endRun()
          run.push({ index, term, kind, body })
          break
        }
        default:
          throw new Error(`The log has a line that this program does not know: ${JSON.stringify(line[0])}`)
      }
    }
  }
  endRun()
  if (group === undefined) throw new Error('The log does not name its group')
  return owner === undefined ? { group, hardState, log } : { group, owner, hardState, log }
}

function hardStateLine({ term, vote }: HardState): Line {
  return ['hard-state', term, vote ?? null]
}

function entryLine({ index, term, kind, body }: Entry): Line {
  return ['entry', index, term, kind, body]
}

/** For the one line that is written outside of any flush. */
export function encodeOwner(owner: string): Uint8Array {
  return encodeLines([['owner', owner]])
}

function encodeLines(lines: readonly Line[]): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(lines))
}

/** The checksum has proven that the bytes are ours, so their shape is trusted. */
function decodeLines(payload: Uint8Array): readonly Line[] {
  return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(payload)) as Line[]
}
