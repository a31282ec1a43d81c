import { configurationFields, parseConfiguration } from '../../raft/configuration.ts'
import type { Snapshot } from '../../raft/message.ts'
import { corruptLog } from './corrupt-log.ts'
import { encodeRecord, scanRecords } from './record.ts'

export const SNAPSHOT_FILE = 'raft.snapshot'

/** Raised when an older program could not read the file. */
const SNAPSHOT_FORMAT = 1

export type SnapshotContent = { readonly group: string; readonly snapshot: Snapshot }

export function encodeSnapshot({ group, snapshot }: SnapshotContent): Uint8Array {
  const configuration = configurationFields(snapshot.configuration)
  const text = JSON.stringify({ format: SNAPSHOT_FORMAT, group, ...snapshot, configuration })
  return encodeRecord(1, new TextEncoder().encode(text))
}

/** Throws `RAFT_LOG_CORRUPT` for anything that this program or an older one did not write. */
export function decodeSnapshot(folder: string, bytes: Uint8Array): SnapshotContent {
  const scan = scanRecords(bytes)
  const payload = scan.payloads[0]
  if (scan.end !== 'clean' || payload === undefined) throw corruptLog(folder, 'the snapshot is broken')
  const parsed = JSON.parse(new TextDecoder('utf-8', { ignoreBOM: true }).decode(payload)) as Snapshot & {
    readonly format: number
    readonly group: string
  }
  if (parsed.format !== SNAPSHOT_FORMAT) {
    const reason = `the snapshot has format ${parsed.format}, this program reads ${SNAPSHOT_FORMAT}`
    throw corruptLog(folder, reason)
  }
  const { group, index, term, body } = parsed
  const configuration = parseConfiguration(parsed.configuration)
  if (configuration === undefined) {
    throw corruptLog(folder, 'the snapshot names no members that this program understands')
  }
  return { group, snapshot: { index, term, body, configuration } }
}
