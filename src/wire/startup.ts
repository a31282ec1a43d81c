import { Fault } from '../std/fault.ts'
import { message } from './frame.ts'

/** As in PostgreSQL (MAX_STARTUP_PACKET_LENGTH). */
export const STARTUP_BYTES_MAX = 10_000
/** Protocol 3.2 allows secret keys of up to 256 bytes; 3.0 has exactly 4. */
const CANCEL_KEY_BYTES_MAX = 256

const CANCEL_CODE = 80_877_102
const SSL_CODE = 80_877_103
const GSS_CODE = 80_877_104
const CANCEL_HEADER_BYTES = 12
/** First byte of a TLS handshake record: a client that skips SSLRequest (`sslnegotiation=direct`). */
const TLS_HANDSHAKE = 0x16

/** What names one backend to a cancel request. */
export type CancelKey = { readonly processId: number; readonly secret: Buffer }

/** `bytes` is the length of the packet: what stands behind it in the buffer belongs to the next one. */
export type StartupPacket =
  | {
      readonly kind: 'startup'
      readonly bytes: number
      /** 0 for protocol 3.0, 2 for 3.2. Other minors are passed on: PostgreSQL negotiates them. */
      readonly minor: number
      readonly parameters: ReadonlyMap<string, string>
    }
  | { readonly kind: 'ssl-request'; readonly bytes: number }
  | { readonly kind: 'gss-request'; readonly bytes: number }
  | { readonly kind: 'cancel-request'; readonly bytes: number; readonly key: CancelKey }
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'malformed'; readonly reason: MalformedReason }

export type MalformedReason =
  | 'LENGTH_OUT_OF_RANGE'
  | 'PROTOCOL_UNSUPPORTED'
  | 'PARAMETERS_INVALID'
  | 'CANCEL_KEY_INVALID'
  | 'TLS_WITHOUT_REQUEST'

/** Reads the first packet of a connection. Never throws, whatever the bytes are. */
export function parseStartup(buffer: Buffer): StartupPacket {
  if (buffer.length > 0 && buffer[0] === TLS_HANDSHAKE) return malformed('TLS_WITHOUT_REQUEST')
  if (buffer.length < 4) return { kind: 'incomplete' }
  const bytes = buffer.readInt32BE(0)
  if (bytes < 8 || bytes > STARTUP_BYTES_MAX) return malformed('LENGTH_OUT_OF_RANGE')
  if (buffer.length < 8) return { kind: 'incomplete' }
  const code = buffer.readInt32BE(4)
  if (code === SSL_CODE || code === GSS_CODE) {
    if (bytes !== 8) return malformed('LENGTH_OUT_OF_RANGE')
    return { kind: code === SSL_CODE ? 'ssl-request' : 'gss-request', bytes }
  }
  if (code !== CANCEL_CODE && code >>> 16 !== 3) return malformed('PROTOCOL_UNSUPPORTED')
  if (buffer.length < bytes) return { kind: 'incomplete' }
  return code === CANCEL_CODE ? parseCancel(buffer, bytes) : parseParameters(buffer, bytes, code & 0xffff)
}

/** A StartupMessage of protocol 3.`minor`. Throws `WIRE_PARAMETER_INVALID` for what the protocol cannot carry. */
export function buildStartup(
  parameters: Readonly<Record<string, string>> | ReadonlyMap<string, string>,
  options: { readonly minor?: 0 | 2 } = {},
): Buffer {
  const pairs = parameters instanceof Map ? [...parameters] : Object.entries(parameters)
  for (const [name, value] of pairs) {
    if (name !== '' && !name.includes('\0') && !value.includes('\0')) continue
    throw new Fault(
      'WIRE_PARAMETER_INVALID',
      `Cannot write startup parameter "${name}": it is empty or holds a zero byte`,
    )
  }
  const text = Buffer.from(pairs.map(([name, value]) => `${name}\0${value}\0`).join('') + '\0', 'utf8')
  const bytes = 8 + text.length
  if (bytes > STARTUP_BYTES_MAX) {
    throw new Fault(
      'WIRE_PARAMETER_INVALID',
      `Cannot write a startup message of ${bytes} bytes: the limit is ${STARTUP_BYTES_MAX}`,
    )
  }
  return Buffer.concat([header(bytes, (3 << 16) | (options.minor ?? 0)), text])
}

/** A request to cancel what the backend with this key is doing; sent on a connection of its own. */
export function buildCancelRequest(key: CancelKey): Buffer {
  const bytes = Buffer.concat([
    header(CANCEL_HEADER_BYTES + key.secret.length, CANCEL_CODE),
    Buffer.alloc(4),
    key.secret,
  ])
  bytes.writeInt32BE(key.processId | 0, 8)
  return bytes
}

/** Asks for TLS; the answer is one byte, `S` or `N`. */
export function buildSslRequest(): Buffer {
  return header(8, SSL_CODE)
}

/** Asks for GSSAPI encryption; the answer is one byte, `G` or `N`. */
export function buildGssRequest(): Buffer {
  return header(8, GSS_CODE)
}

/** The body of a BackendKeyData message (`K`): its secret may be 4 to 256 bytes. `undefined` when it is none. */
export function parseBackendKey(body: Buffer): CancelKey | undefined {
  const secretBytes = body.length - 4
  if (secretBytes < 4 || secretBytes > CANCEL_KEY_BYTES_MAX) return undefined
  return { processId: body.readInt32BE(0), secret: Buffer.from(body.subarray(4)) }
}

/** A whole BackendKeyData message. */
export function buildBackendKey(key: CancelKey): Buffer {
  const body = Buffer.alloc(4 + key.secret.length)
  body.writeInt32BE(key.processId | 0)
  key.secret.copy(body, 4)
  return message('K', body)
}

/** NegotiateProtocolVersion: the newest minor that is spoken here, and the protocol options that are not. */
export function buildNegotiation(minor: number, unknownOptions: readonly string[]): Buffer {
  const names = Buffer.from(unknownOptions.map((name) => `${name}\0`).join(''), 'utf8')
  const head = Buffer.alloc(8)
  head.writeInt32BE((3 << 16) | minor)
  head.writeInt32BE(unknownOptions.length, 4)
  return message('v', Buffer.concat([head, names]))
}

function parseCancel(buffer: Buffer, bytes: number): StartupPacket {
  const secretBytes = bytes - CANCEL_HEADER_BYTES
  if (secretBytes < 4 || secretBytes > CANCEL_KEY_BYTES_MAX) return malformed('CANCEL_KEY_INVALID')
  const secret = Buffer.from(buffer.subarray(CANCEL_HEADER_BYTES, bytes))
  return { kind: 'cancel-request', bytes, key: { processId: buffer.readInt32BE(8), secret } }
}

function parseParameters(buffer: Buffer, bytes: number, minor: number): StartupPacket {
  const parameters = new Map<string, string>()
  let at = 8
  while (at < bytes && buffer[at] !== 0) {
    const nameEnd = buffer.indexOf(0, at)
    const valueEnd = nameEnd < 0 ? -1 : buffer.indexOf(0, nameEnd + 1)
    // Order: the end is compared with the packet's, since the search runs on into what was pipelined behind it.
    if (valueEnd < 0 || valueEnd >= bytes) return malformed('PARAMETERS_INVALID')
    parameters.set(buffer.toString('utf8', at, nameEnd), buffer.toString('utf8', nameEnd + 1, valueEnd))
    at = valueEnd + 1
  }
  // PostgreSQL wants the terminator exactly at the end.
  if (at !== bytes - 1) return malformed('PARAMETERS_INVALID')
  return { kind: 'startup', bytes, minor, parameters }
}

function header(bytes: number, code: number): Buffer {
  const head = Buffer.alloc(8)
  head.writeInt32BE(bytes, 0)
  head.writeInt32BE(code, 4)
  return head
}

function malformed(reason: MalformedReason): StartupPacket {
  return { kind: 'malformed', reason }
}
