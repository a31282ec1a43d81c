/**
 * This room is for proofs of identity as PostgreSQL asks for them (SCRAM-SHA-256, md5), as values: messages in, messages out.
 * It opens no socket, draws no random number and computes no hash of its own: nonces, salts and hash functions come in
 * as arguments, so that the vectors of RFC 5802 and RFC 7677 can be replayed to the byte. It never puts a password into a message,
 * an error or a return value.
 */

import { CHANNEL_BINDING, SCRAM_SHA_256_PLUS } from './channel-binding.ts'

/** The hash functions that the exchange needs; `platform/hash.ts` has them. */
export type ScramHashes = {
  readonly sha256: (...parts: readonly (string | Uint8Array)[]) => Buffer
  readonly hmacSha256: (key: string | Uint8Array, ...parts: readonly (string | Uint8Array)[]) => Buffer
  readonly pbkdf2Sha256: (password: string | Uint8Array, salt: Uint8Array, iterations: number) => Buffer
}

export const SCRAM_SHA_256 = 'SCRAM-SHA-256'

/** A server could make us compute for hours; PostgreSQL's default is 4 096, the highest in use is about 600 000. */
const ITERATIONS_MAX = 10_000_000

export type ScramFirst = {
  readonly kind: 'first'
  readonly mechanism: string
  /** The client-first-message, to be sent. */
  readonly message: string
  readonly bare: string
  /** Base64 of what the exchange is bound to: it is sent once more, signed. */
  readonly binding: string
  readonly nonce: string
}

export type ScramFinal = {
  readonly kind: 'final'
  /** The client-final-message, to be sent. */
  readonly message: string
  /** What the server must answer with to prove that it knows the password too. */
  readonly serverSignature: string
}

export type ScramFailure = { readonly kind: 'failed'; readonly reason: string }

/**
 * Opens an exchange. PostgreSQL takes the user from the startup packet, so the name here is empty. `endPoint`: the data of channel binding,
 * where the connection has some; it is bound to where the server offers that too (`mechanisms`).
 */
export function scramClientFirst(options: {
  nonce: string
  username?: string
  mechanisms?: readonly string[]
  endPoint?: Buffer | undefined
}): ScramFirst {
  const { nonce, endPoint, mechanisms = [] } = options
  const username = (options.username ?? '').replaceAll('=', '=3D').replaceAll(',', '=2C')
  const bare = `n=${username},r=${nonce}`
  const isBound = endPoint !== undefined && mechanisms.includes(SCRAM_SHA_256_PLUS)
  // `y`: it could have been. A server that had offered it learns by this that somebody between took the offer away.
  const header = isBound ? `p=${CHANNEL_BINDING},,` : endPoint ? 'y,,' : 'n,,'
  const bound = isBound ? endPoint : Buffer.alloc(0)
  return {
    kind: 'first',
    mechanism: isBound ? SCRAM_SHA_256_PLUS : SCRAM_SHA_256,
    message: `${header}${bare}`,
    bare,
    binding: Buffer.concat([Buffer.from(header), bound]).toString('base64'),
    nonce,
  }
}

/** What a client can prove that it knows the password with: the password, or what an earlier proof of it gave away. */
export type ScramSecret =
  | { readonly kind: 'password'; readonly password: string }
  | { readonly kind: 'keys'; readonly clientKey: Buffer; readonly serverKey: Buffer }

/** Answers the server-first-message with the proof of the password. */
export function scramClientFinal(
  first: ScramFirst,
  options: { serverFirst: string; secret: ScramSecret; hashes: ScramHashes },
): ScramFinal | ScramFailure {
  const { serverFirst, hashes } = options
  const match = /^r=([^,]+),s=([A-Za-z0-9+/=]+),i=(\d{1,9})(?:,.*)?$/.exec(serverFirst)
  if (!match) return failed('the server sent a malformed SCRAM challenge')
  const [, nonce = '', salt = '', iterationsText = ''] = match
  const iterations = Number(iterationsText)
  if (!nonce.startsWith(first.nonce) || nonce.length === first.nonce.length) {
    return failed('the server did not extend our SCRAM nonce')
  }
  if (iterations < 1 || iterations > ITERATIONS_MAX) {
    return failed(`the server asked for ${iterations} SCRAM iterations, at most ${ITERATIONS_MAX} are done`)
  }
  const { clientKey, serverKey } = scramKeys({
    secret: options.secret,
    salt: Buffer.from(salt, 'base64'),
    iterations,
    hashes,
  })
  const withoutProof = `c=${first.binding},r=${nonce}`
  const authMessage = `${first.bare},${serverFirst},${withoutProof}`
  const clientSignature = hashes.hmacSha256(hashes.sha256(clientKey), authMessage)
  const proof = Buffer.from(clientKey.map((byte, index) => byte ^ (clientSignature[index] as number)))
  const serverSignature = hashes.hmacSha256(serverKey, authMessage)
  return {
    kind: 'final',
    message: `${withoutProof},p=${proof.toString('base64')}`,
    serverSignature: serverSignature.toString('base64'),
  }
}

/** The two keys of RFC 5802 that a password, a salt and a count of iterations stand for. */
function scramKeys(options: {
  secret: ScramSecret
  salt: Uint8Array
  iterations: number
  hashes: ScramHashes
}): { readonly clientKey: Buffer; readonly serverKey: Buffer } {
  const { secret, salt, iterations, hashes } = options
  if (secret.kind === 'keys') return secret
  const salted = hashes.pbkdf2Sha256(saslPrep(secret.password), salt, iterations)
  return {
    clientKey: hashes.hmacSha256(salted, 'Client Key'),
    serverKey: hashes.hmacSha256(salted, 'Server Key'),
  }
}

/** Checks the server-final-message. A server that cannot prove that it knows the password is not the one we were sent to. */
export function scramVerifyServer(final: ScramFinal, serverFinal: string): { kind: 'ok' } | ScramFailure {
  const match = /^([ev])=([^,]*)(?:,.*)?$/.exec(serverFinal)
  if (!match) return failed('the server sent a malformed end of the SCRAM exchange')
  if (match[1] === 'e') return failed(`the server ended the SCRAM exchange: ${match[2]}`)
  if (match[2] !== final.serverSignature) {
    return failed('the server did not prove that it knows the password')
  }
  return { kind: 'ok' }
}

/**
 * What PostgreSQL stores instead of a password. Given to `CREATE ROLE … PASSWORD`, it keeps the password itself out of SQL text
 * and therefore out of the server's log.
 */
export function scramVerifier(options: {
  password: string
  salt: Uint8Array
  iterations?: number
  hashes: ScramHashes
}): string {
  const { password, salt, hashes, iterations = 4096 } = options
  const secret = { kind: 'password', password } as const
  const { clientKey, serverKey } = scramKeys({ secret, salt, iterations, hashes })
  const storedKey = hashes.sha256(clientKey)
  const saltText = Buffer.from(salt).toString('base64')
  return `${SCRAM_SHA_256}$${iterations}:${saltText}$${storedKey.toString('base64')}:${serverKey.toString('base64')}`
}

/** RFC 3454 table B.1: mapped to nothing. */
const MAPPED_TO_NOTHING = /[\u00ad\u034f\u1806\u180b-\u180d\u200b-\u200d\u2060\ufe00-\ufe0f\ufeff]/gu
/** RFC 3454 table C.1.2: other spaces become the ASCII one. */
const OTHER_SPACE = /[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/gu
/** RFC 3454 tables C.2 to C.9, as far as they are not unassigned: a password with one of these is used as it is. */
const PROHIBITED =
  /[\p{Cc}\p{Co}\p{Cs}\u06dd\u070f\u180e\u2028\u2029\u2061-\u2063\u206a-\u206f\ufff9-\uffff\u0340\u0341\u200e\u200f\u202a-\u202e\u2ff0-\u2ffb]/u

/** Password preparation (RFC 4013) as PostgreSQL does it: what cannot be prepared is used unchanged. */
function saslPrep(password: string): string {
  if (/^[\u0020-\u007e]*$/.test(password)) return password
  const prepared = password.replace(OTHER_SPACE, ' ').replace(MAPPED_TO_NOTHING, '').normalize('NFKC')
  return prepared === '' || PROHIBITED.test(prepared) ? password : prepared
}

function failed(reason: string): ScramFailure {
  return { kind: 'failed', reason }
}
