import { message } from './frame.ts'

/** A column of a result: numbers are int8, everything else is text. */
export type Column = { readonly name: string; readonly isNumber: boolean }

export type Value = string | number | null

const TEXT = { oid: 25, size: -1 }
const INT8 = { oid: 20, size: 8 }

export function buildRowDescription(columns: readonly Column[]): Buffer {
  const count = Buffer.alloc(2)
  count.writeInt16BE(columns.length)
  const fields = columns.map(({ name, isNumber }) => {
    const type = isNumber ? INT8 : TEXT
    const about = Buffer.alloc(18)
    about.writeInt32BE(type.oid, 6)
    about.writeInt16BE(type.size, 10)
    about.writeInt32BE(-1, 12)
    return Buffer.concat([Buffer.from(`${name}\0`, 'utf8'), about])
  })
  return message('T', Buffer.concat([count, ...fields]))
}

export function buildDataRow(values: readonly Value[]): Buffer {
  const count = Buffer.alloc(2)
  count.writeInt16BE(values.length)
  const fields = values.map((value) => {
    const text = value === null ? Buffer.alloc(0) : Buffer.from(String(value), 'utf8')
    const length = Buffer.alloc(4)
    length.writeInt32BE(value === null ? -1 : text.length)
    return Buffer.concat([length, text])
  })
  return message('D', Buffer.concat([count, ...fields]))
}
