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
