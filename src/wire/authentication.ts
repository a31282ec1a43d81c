import { message } from './frame.ts'

/** The server's `R` messages, and the client's `p` answers to them. */
export type AuthenticationRequest =
  | { readonly kind: 'ok' }
  | { readonly kind: 'cleartext' }
  | { readonly kind: 'md5'; readonly salt: Buffer }
  | { readonly kind: 'sasl'; readonly mechanisms: readonly string[] }
  | { readonly kind: 'saslContinue'; readonly data: string }
  | { readonly kind: 'saslFinal'; readonly data: string }
  /** Kerberos, GSSAPI, SSPI or something newer: `code` is the protocol's number. */
  | { readonly kind: 'unsupported'; readonly code: number }

/** Reads the body of an `R` message; `undefined` when it is cut off. */
export function parseAuthentication(body: Buffer): AuthenticationRequest | undefined {
  if (body.length < 4) return undefined
  const code = body.readInt32BE(0)
  const rest = body.subarray(4)
  switch (code) {
    case 0:
      return { kind: 'ok' }
    case 3:
      return { kind: 'cleartext' }
    case 5:
      return rest.length === 4 ? { kind: 'md5', salt: Buffer.from(rest) } : undefined
    case 10:
      return {
        kind: 'sasl',
        mechanisms: rest
          .toString('utf8')
          .split('\0')
          .filter((name) => name !== ''),
      }
    case 11:
      return { kind: 'saslContinue', data: rest.toString('utf8') }
    case 12:
      return { kind: 'saslFinal', data: rest.toString('utf8') }
    default:
      return { kind: 'unsupported', code }
  }
}

/** Body of a `p` message with a password, in clear or as md5 answer. */
export function passwordBody(password: string): Buffer {
  return Buffer.from(`${password}\0`, 'utf8')
}

/** Body of the `p` message that chooses a SASL mechanism and opens its exchange. */
export function saslInitialBody(mechanism: string, data: string): Buffer {
  const name = Buffer.from(`${mechanism}\0`, 'utf8')
  const content = Buffer.from(data, 'utf8')
  const length = Buffer.alloc(4)
  length.writeInt32BE(content.length)
  return Buffer.concat([name, length, content])
}

/** Body of the `p` message that goes on with a SASL exchange. */
export function saslResponseBody(data: string): Buffer {
  return Buffer.from(data, 'utf8')
}

/** A whole `R` message. */
export function buildAuthentication(
  request: Exclude<AuthenticationRequest, { kind: 'unsupported' } | { kind: 'cleartext' }>,
): Buffer {
  switch (request.kind) {
    case 'ok':
      return authentication(0, NOTHING)
    case 'md5':
      return authentication(5, request.salt)
    case 'sasl':
      return authentication(10, Buffer.from(`${request.mechanisms.join('\0')}\0\0`, 'utf8'))
    case 'saslContinue':
      return authentication(11, Buffer.from(request.data, 'utf8'))
    case 'saslFinal':
      return authentication(12, Buffer.from(request.data, 'utf8'))
  }
}

/** The password of a `p` message's body; `undefined` when it does not end where the message does. */
export function parsePassword(body: Buffer): string | undefined {
  return body.indexOf(0) === body.length - 1 ? body.toString('utf8', 0, body.length - 1) : undefined
}

/** What a client's first SASL message says; `undefined` when it is malformed. */
export function parseSaslInitial(body: Buffer): { mechanism: string; data: string } | undefined {
  const end = body.indexOf(0)
  if (end < 0 || body.length < end + 5 || body.readInt32BE(end + 1) !== body.length - end - 5)
    return undefined
  return { mechanism: body.toString('utf8', 0, end), data: body.toString('utf8', end + 5) }
}

const NOTHING = Buffer.alloc(0)

function authentication(code: number, rest: Buffer): Buffer {
  const body = Buffer.alloc(4 + rest.length)
  body.writeInt32BE(code)
  rest.copy(body, 4)
  return message('R', body)
}
