/** Messages that only a replication connection sees, and the text rows in which its commands answer. */

/** A message inside `CopyData` of `BASE_BACKUP`, PostgreSQL 15 and newer. */
export type BackupMessage =
  /** What follows is a new tar archive: of the data directory, or of the tablespace that lies at `tablespacePath` there. */
  | { readonly kind: 'archive'; readonly name: string; readonly tablespacePath: string }
  | { readonly kind: 'manifest' }
  | { readonly kind: 'data'; readonly bytes: Buffer }
  | { readonly kind: 'progress'; readonly bytesDone: bigint }
  | { readonly kind: 'unknown'; readonly type: number }

/** Reads the body of a `CopyData` message of `BASE_BACKUP`; `undefined` when it is cut off. */
export function parseBackupMessage(body: Buffer): BackupMessage | undefined {
  const type = body[0]
  if (type === undefined) return undefined
  switch (String.fromCharCode(type)) {
    case 'd':
      return { kind: 'data', bytes: body.subarray(1) }
    case 'n': {
      const name = readCString(body, 1)
      if (!name) return undefined
      const path = readCString(body, name.next)
      return path && { kind: 'archive', name: name.text, tablespacePath: path.text }
    }
    case 'm':
      return { kind: 'manifest' }
    case 'p':
      return body.length < 9 ? undefined : { kind: 'progress', bytesDone: body.readBigInt64BE(1) }
    default:
      return { kind: 'unknown', type }
  }
}

/** Column names of a `RowDescription`; `undefined` when it is cut off. */
export function parseRowDescription(body: Buffer): readonly string[] | undefined {
  if (body.length < 2) return undefined
  const names: string[] = []
  let offset = 2
  for (let left = body.readInt16BE(0); left > 0; left -= 1) {
    const name = readCString(body, offset)
    if (!name) return undefined
    names.push(name.text)
    // Table, column, type, size, modifier and format follow each name.
    offset = name.next + 18
  }
  return offset <= body.length ? names : undefined
}

/** Values of a `DataRow` in text format; `undefined` when it is cut off. */
export function parseDataRow(body: Buffer): readonly (string | null)[] | undefined {
  if (body.length < 2) return undefined
  const values: (string | null)[] = []
  let offset = 2
  for (let left = body.readInt16BE(0); left > 0; left -= 1) {
    if (offset + 4 > body.length) return undefined
    const length = body.readInt32BE(offset)
    offset += 4
    if (length < 0) {
      values.push(null)
      continue
    }
    if (offset + length > body.length) return undefined
    values.push(body.toString('utf8', offset, offset + length))
    offset += length
  }
  return values
}

function readCString(body: Buffer, offset: number): { text: string; next: number } | undefined {
  const end = body.indexOf(0, offset)
  return end < 0 ? undefined : { text: body.toString('utf8', offset, end), next: end + 1 }
}
