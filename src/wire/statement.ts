import { message } from './frame.ts'

const HEADER_BYTES = 5
const STATEMENT = 0x53

/** A whole Parse message under another name; `definition` is the text of the statement and the types, as they came. */
export function buildParse(name: string, definition: Buffer): Buffer {
  const nameBytes = Buffer.byteLength(name)
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + nameBytes + 1 + definition.length)
  bytes[0] = 0x50
  bytes.writeInt32BE(bytes.length - 1, 1)
  bytes.write(name, HEADER_BYTES, 'utf8')
  bytes[HEADER_BYTES + nameBytes] = 0
  definition.copy(bytes, HEADER_BYTES + nameBytes + 1)
  return bytes
}

/** Describe (`D`) or Close (`C`) of a prepared statement. */
export function buildAboutStatement(type: 'D' | 'C', name: string): Buffer {
  return message(type, Buffer.from(`S${name}\0`, 'utf8'))
}

/** What a Describe or Close is about: a statement's name, or `undefined` for a portal. */
export function statementOfAbout(body: Buffer): string | undefined {
  return body[0] === STATEMENT ? body.toString('utf8', 1, Math.max(1, body.length - 1)) : undefined
}

/** Whether the body of a Describe or Close, at these bytes, is about a statement that has a name. */
export function isAboutNamed(bytes: Buffer, bodyAt: number, end: number): boolean {
  return bytes[bodyAt] === STATEMENT && end - bodyAt > 2
}

/** Where the two names of a Bind message end (at their zero bytes); `undefined` while they are not all there. */
export function bindNameEnds(
  bytes: Buffer,
  bodyAt: number,
): { readonly portal: number; readonly statement: number } | undefined {
  const portal = bytes.indexOf(0, bodyAt)
  const statement = portal < 0 ? -1 : bytes.indexOf(0, portal + 1)
  return statement < 0 ? undefined : { portal, statement }
}

/**
 * The beginning of a Bind message with another statement in it, to be followed by what stood behind the old name.
 * `length` is the old length field.
 */
export function buildBindHead(
  old: { readonly portal: Buffer; readonly statementBytes: number; readonly length: number },
  name: string,
): Buffer {
  const nameBytes = Buffer.byteLength(name)
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + old.portal.length + 1 + nameBytes + 1)
  bytes[0] = 0x42
  bytes.writeInt32BE(old.length - old.statementBytes + nameBytes, 1)
  old.portal.copy(bytes, HEADER_BYTES)
  const at = HEADER_BYTES + old.portal.length
  bytes[at] = 0
  bytes.write(name, at + 1, 'utf8')
  bytes[bytes.length - 1] = 0
  return bytes
}
