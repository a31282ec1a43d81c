import type { DiskFacts, NodeFacts } from '#client'
import { bytes, enumerated } from '../../std/quantity-text.ts'
import { GiB, MiB } from '../../std/units.ts'
import { error, note, ok, warning, type Check } from '../diagnosis.ts'

/** A member with less takes over from nobody (the policy of write paths). */
const ROOM_NEEDED_BYTES = 128 * MiB
const ROOM_WANTED_BYTES = 2 * GiB
const SHARE_WANTED = 0.1

/** What a member's disk may need before its tries to write count as slow, and as missed. */
const FLUSH_SLOW_MS = 200
const FLUSH_MISSED_MS = 700
/** Each commit of the consensus log and each of PostgreSQL waits for one. */
const FLUSH_WANTED_MS = 20

export const diskSpace: Check<NodeFacts> = {
  name: 'disk-space',
  about: 'room on the disks of data, WAL and state: a tenth or 2 GB',
  judge: ({ host }) => host.disks.map(judged),
}

function judged({ holds, folder, freeBytes, totalBytes }: DiskFacts) {
  const share = totalBytes === 0 ? 0 : Math.round((100 * freeBytes) / totalBytes)
  const evidence = `${bytes(freeBytes)} of ${bytes(totalBytes)} (${share} %) are free for the ${enumerated(holds)}, at ${folder}`
  const fix = `Make room below ${folder}, or grow its disk; pg_wal grows when a slot or a failing archive_command keeps WAL`
  if (freeBytes < ROOM_NEEDED_BYTES)
    return error('DISK_FULL', `${evidence}; a primary that has none left ends itself`, fix)
  const isLow = freeBytes < ROOM_WANTED_BYTES && freeBytes < totalBytes * SHARE_WANTED
  return isLow ? warning('DISK_NEARLY_FULL', evidence, fix) : ok('DISK_SPACE', evidence)
}

export const diskFlush: Check<NodeFacts> = {
  name: 'disk-flush',
  about: 'how long a small durable write takes in the state folder, measured',
  judge: ({ host }) => {
    const { flush, flushTrouble } = host
    if (!flush)
      return flushTrouble === undefined ? [] : [note('FLUSH_UNKNOWN', `not measured: ${flushTrouble}`)]
    const evidence = `a durable write takes ${flush.medianMs} ms, the slowest of ${flush.times} took ${flush.worstMs} ms`
    const fix = 'Put paths.state_dir and the WAL on a local SSD that nothing else writes to; see iostat -x 1'
    if (flush.medianMs >= FLUSH_SLOW_MS || flush.worstMs >= FLUSH_MISSED_MS)
      return [error('DISK_TOO_SLOW', `${evidence}; leases may run out while it waits`, fix)]
    const isSlow = flush.medianMs >= FLUSH_WANTED_MS || flush.worstMs >= FLUSH_SLOW_MS
    return [isSlow ? warning('DISK_SLOW', evidence, fix) : ok('DISK_FLUSH', evidence)]
  },
}
