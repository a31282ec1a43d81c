import { formatLsn, parseLsn, type Lsn } from '../model/lsn.ts'
import {
  fs,
  join,
  readTextIfPresent,
  syncFolder,
  writeFileDurably,
  type FileOwner,
} from '../platform/disk.ts'

/** One ancestor: WAL of `timeline` belongs to the history up to `endLsn`, where the next one began. */
export type TimelineLink = { readonly timeline: number; readonly endLsn: Lsn }

export const HISTORY_FILE = /^[0-9A-F]{8}\.history$/

/** The whole content of a history file that only says that its id is taken; PostgreSQL passes comments over. */
const RESERVED = '# pg-metako: this timeline was given to another epoch\n'

/** Reads the content of a `.history` file; lines that are not of it (comments) are left out. */
export function parseTimelineHistory(text: string): readonly TimelineLink[] {
  const links: TimelineLink[] = []
  for (const line of text.split('\n')) {
    const match = /^\s*(\d+)\s+([0-9A-Fa-f]+\/[0-9A-Fa-f]+)/.exec(line)
    const endLsn = match && parseLsn(match[2] as string)
    if (match && endLsn !== undefined && endLsn !== null) links.push({ timeline: Number(match[1]), endLsn })
  }
  return links
}

/** Ancestors of `timeline`, oldest first; the first timeline has none. `undefined`: its history file is not here. */
export async function readTimelineHistory(
  dataDir: string,
  timeline: number,
): Promise<readonly TimelineLink[] | undefined> {
  if (timeline === 1) return []
  const text = await readTextIfPresent(join(dataDir, 'pg_wal', historyFileName(timeline)))
  return text === undefined ? undefined : parseTimelineHistory(text)
}

/**
 * Makes PostgreSQL promote to `timeline` and no lower id: it takes the first one above its own without a history file
 * (`findNewestTimeLine` in timeline.c), so each id in between gets a file that says only that it is taken. Order: durable when
 * this returns, before the promotion is asked for. Followers ask their primary for the files of all ids up to its own, hence they
 * stay there afterwards.
 */
export async function reserveTimelinesBelow(
  dataDir: string,
  timeline: number,
  owner: FileOwner | undefined,
): Promise<void> {
  for (let id = 2; id < timeline; id += 1) {
    const path = join(dataDir, 'pg_wal', historyFileName(id))
    if ((await readTextIfPresent(path)) !== undefined) continue
    await writeFileDurably(path, RESERVED, { mode: 0o600, owner })
  }
}

/**
 * Takes reserved ids away again before a standby starts: it aims at the newest timeline that it has a history file for, and a file
 * without ancestors would be the history of a stranger.
 */
export async function forgetReservedTimelines(dataDir: string): Promise<void> {
  const folder = join(dataDir, 'pg_wal')
  let isChanged = false
  for (const name of await fs.readdir(folder)) {
    if (!HISTORY_FILE.test(name)) continue
    const path = join(folder, name)
    if ((await readTextIfPresent(path)) !== RESERVED) continue
    await fs.rm(path, { force: true })
    isChanged = true
  }
  if (isChanged) await syncFolder(folder)
}

export function historyFileName(timeline: number): string {
  return `${hex8(timeline)}.history`
}

/** Name of the WAL segment of `timeline` that holds `lsn`. */
export function segmentFileName(timeline: number, lsn: bigint, segmentBytes: number): string {
  const segment = lsn / BigInt(segmentBytes)
  const perLog = 0x1_0000_0000n / BigInt(segmentBytes)
  return `${hex8(timeline)}${hex8(Number(segment / perLog))}${hex8(Number(segment % perLog))}`
}

/** Where on `timeline` its successor began, in PostgreSQL's text form; `undefined` when it is not an ancestor. */
export function forkOf(links: readonly TimelineLink[], timeline: number): string | undefined {
  const link = links.find((candidate) => candidate.timeline === timeline)
  return link && formatLsn(link.endLsn)
}

function hex8(value: number): string {
  return value.toString(16).toUpperCase().padStart(8, '0')
}
