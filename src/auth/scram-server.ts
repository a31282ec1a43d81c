import { CHANNEL_BINDING, SCRAM_SHA_256_PLUS } from './channel-binding.ts'
import { SCRAM_SHA_256, type ScramFailure, type ScramHashes } from './scram.ts'

/** What PostgreSQL stores instead of a password: proves who knows it, and does not let its reader log in. */
export type ScramVerifier = {
  readonly iterations: number
  readonly salt: Buffer
  readonly storedKey: Buffer
  readonly serverKey: Buffer
}

export type ScramServerFirst = {
  readonly kind: 'first'
  /** The server-first-message, to be sent. */
  readonly message: string
  readonly nonce: string
  /** Base64 of the client's channel binding header: it must come again, signed. */
  readonly binding: string
  /** client-first-message-bare and server-first-message, as both sides sign them. */
  readonly signed: string
}

export type ScramServerFinal = {
  readonly kind: 'final'
  /** The server-final-message, to be sent. */
  readonly message: string
  /**
   * What the client's proof gave away: with it one can log in wherever the same verifier is stored, as this client and
   * without its password. It is worth as much as the password there.
   */
  readonly clientKey: Buffer
}

const KEY_BYTES = 32
const VERIFIER = /^SCRAM-SHA-256\$(\d{1,9}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$/
const CLIENT_FIRST =
  /^(?<header>(?<flag>n|y|p=[^,]*),(?:a=[^,]*)?,)(?<bare>n=[^,]*,r=(?<nonce>[^,]+)(?:,.*)?)$/s
const CLIENT_FINAL =
  /^(?<unproven>c=(?<binding>[^,]*),r=(?<nonce>[^,]*)(?:,.*)?),p=(?<proof>[A-Za-z0-9+/=]+)$/s

/** Reads `SCRAM-SHA-256$4096:salt$StoredKey:ServerKey`; `undefined` for anything else. */
export function parseScramVerifier(text: string): ScramVerifier | undefined {
  const match = VERIFIER.exec(text)
  if (!match) return undefined
  const [, iterations = '', salt = '', stored = '', server = ''] = match
  const storedKey = Buffer.from(stored, 'base64')
  const serverKey = Buffer.from(server, 'base64')
  if (storedKey.length !== KEY_BYTES || serverKey.length !== KEY_BYTES || Number(iterations) < 1)
    return undefined
  return { iterations: Number(iterations), salt: Buffer.from(salt, 'base64'), storedKey, serverKey }
}

/**
 * Answers the client-first-message. `nonce` is this side's half: printable, without a comma. `endPoint`: the data of channel binding,
 * where it was offered.
 */
export function scramServerFirst(
  verifier: ScramVerifier,
  options: {
    readonly mechanism: string
    readonly clientFirst: string
    readonly nonce: string
    readonly endPoint?: Buffer | undefined
  },
): ScramServerFirst | ScramFailure {
  const groups = CLIENT_FIRST.exec(options.clientFirst)?.groups
  if (!groups) return failed('the client sent a malformed beginning of the SCRAM exchange')
  const { mechanism, endPoint } = options
  const refusal = judgeBinding(groups['flag'] ?? '', mechanism, endPoint !== undefined)
  if (refusal !== undefined) return failed(refusal)
  const bound = mechanism === SCRAM_SHA_256_PLUS && endPoint ? endPoint : Buffer.alloc(0)
  const nonce = `${groups['nonce']}${options.nonce}`
  const message = `r=${nonce},s=${verifier.salt.toString('base64')},i=${verifier.iterations}`
  return {
    kind: 'first',
    message,
    nonce,
    binding: Buffer.concat([Buffer.from(groups['header'] ?? ''), bound]).toString('base64'),
    signed: `${groups['bare']},${message}`,
  }
}

/** What is wrong with what the client says of channel binding, if anything. */
function judgeBinding(flag: string, mechanism: string, isOffered: boolean): string | undefined {
  if (mechanism === SCRAM_SHA_256_PLUS) {
    if (!isOffered) return `the client chose ${SCRAM_SHA_256_PLUS}, which was not offered`
    if (flag !== `p=${CHANNEL_BINDING}`) return 'the client wants another channel binding than there is'
    return undefined
  }
  if (mechanism !== SCRAM_SHA_256) return `the client chose the mechanism ${mechanism}`
  if (flag.startsWith('p')) return `the client wants channel binding, ${SCRAM_SHA_256} has none`
  // Somebody between us took the offer away.
  if (flag === 'y' && isOffered) return 'the client was not told that channel binding is offered'
  return undefined
}

/** Judges the client's proof. The reason of a failure is for the log: the client learns only that it failed. */
export function scramServerFinal(
  first: ScramServerFirst,
  options: { readonly clientFinal: string; readonly verifier: ScramVerifier; readonly hashes: ScramHashes },
): ScramServerFinal | ScramFailure {
  const { clientFinal, verifier, hashes } = options
  const groups = CLIENT_FINAL.exec(clientFinal)?.groups
  if (!groups) return failed('the client sent a malformed end of the SCRAM exchange')
  if (groups['binding'] !== first.binding) return failed('the client changed its channel binding')
  if (groups['nonce'] !== first.nonce) return failed('the client changed the SCRAM nonce')
  const proof = Buffer.from(groups['proof'] ?? '', 'base64')
  if (proof.length !== KEY_BYTES) return failed('the proof has the wrong length')
  const authMessage = `${first.signed},${groups['unproven']}`
  const signature = hashes.hmacSha256(verifier.storedKey, authMessage)
  const clientKey = Buffer.from(proof.map((byte, index) => byte ^ (signature[index] as number)))
  if (!sameBytes(hashes.sha256(clientKey), verifier.storedKey)) return failed('the password is wrong')
  const serverSignature = hashes.hmacSha256(verifier.serverKey, authMessage)
  return { kind: 'final', message: `v=${serverSignature.toString('base64')}`, clientKey }
}

/** In a time that does not depend on where they differ. */
function sameBytes(one: Buffer, other: Buffer): boolean {
  let difference = one.length ^ other.length
  for (const [index, byte] of one.entries()) difference |= byte ^ (other[index] ?? 0)
  return difference === 0
}

function failed(reason: string): ScramFailure {
  return { kind: 'failed', reason }
}
