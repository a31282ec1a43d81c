import { formatLsn, parseLsn, type Lsn } from '../model/lsn.ts'
import { join, readTextIfPresent } from '../platform/disk.ts'

/** One ancestor: WAL of `timeline` belongs to the history up to `endLsn`, where the next one began. */
export type TimelineLink = { readonly timeline: number; readonly endLsn: Lsn }

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
