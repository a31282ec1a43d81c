import { md5Answer, md5Password } from '../../auth/md5-password.ts'
import {
  SCRAM_SHA_256,
  scramClientFinal,
  scramClientFirst,
  scramVerifyServer,
  type ScramFinal,
  type ScramFirst,
  type ScramSecret,
} from '../../auth/scram.ts'
import { hmacSha256, md5Hex, pbkdf2Sha256, sha256 } from '../../platform/hash.ts'
import type { Socket } from '../../platform/net.ts'
import { randomBytes } from '../../platform/random.ts'
import {
  passwordBody,
  saslInitialBody,
  saslResponseBody,
  type AuthenticationRequest,
} from '../../wire/authentication.ts'
import type { ErrorFields } from '../../wire/error-response.ts'
import { endPointOf } from '../tls/end-point.ts'

/** What logs in at PostgreSQL. */
export type ServerSecret =
  | ScramSecret
  | { readonly kind: 'md5'; readonly stored: string }
  | { readonly kind: 'none' }

export type ProofStep =
  | { readonly kind: 'nothing' }
  /** Body of a `p` message. */
  | { readonly kind: 'send'; readonly body: Buffer }
  /** PostgreSQL wants what the router does not have. */
  | { readonly kind: 'missing'; readonly what: string }

const HASHES = { sha256, hmacSha256, pbkdf2Sha256 }
const NONCE_BYTES = 18
const NOTHING: ProofStep = { kind: 'nothing' }

/** Answers PostgreSQL's questions about who we are, bound to the TLS of this connection where both can. */
export class ServerProof {
  readonly #socket: Socket
  readonly #user: string
  readonly #secret: ServerSecret
  #scram: { readonly first: ScramFirst; readonly final?: ScramFinal } | undefined

  constructor(socket: Socket, who: { readonly user: string; readonly secret: ServerSecret }) {
    this.#socket = socket
    this.#user = who.user
    this.#secret = who.secret
  }

  answer(request: AuthenticationRequest): ProofStep {
    const secret = this.#secret
    switch (request.kind) {
      case 'ok':
        return NOTHING
      case 'cleartext':
        if (secret.kind !== 'password') return missing('the password itself')
        return send(passwordBody(secret.password))
      case 'md5': {
        const { salt } = request
        if (secret.kind === 'md5')
          return send(passwordBody(md5Answer({ stored: secret.stored, salt, md5Hex })))
        if (secret.kind !== 'password') return missing('a password or its md5 hash')
        return send(passwordBody(md5Password({ user: this.#user, password: secret.password, salt, md5Hex })))
      }
      case 'sasl':
        return this.#scramFirst(request.mechanisms)
      case 'saslContinue':
        return this.#scramContinue(request.data)
      case 'saslFinal': {
        const final = this.#scram?.final
        const verdict = final && scramVerifyServer(final, request.data)
        return verdict?.kind === 'ok' ? NOTHING : missing('a server that knows the password')
      }
      case 'unsupported':
        return missing(`authentication method ${request.code}`)
    }
  }

  #scramFirst(mechanisms: readonly string[]): ProofStep {
    const { kind } = this.#secret
    if (!mechanisms.includes(SCRAM_SHA_256)) return missing(mechanisms.join(', '))
    if (kind === 'none' || kind === 'md5') return missing('a password or SCRAM keys')
    const nonce = randomBytes(NONCE_BYTES).toString('base64')
    const first = scramClientFirst({ nonce, mechanisms, endPoint: endPointOf(this.#socket, 'client') })
    this.#scram = { first }
    return send(saslInitialBody(first.mechanism, first.message))
  }

  #scramContinue(serverFirst: string): ProofStep {
    const secret = this.#secret
    const first = this.#scram?.first
    if (!first || secret.kind === 'none' || secret.kind === 'md5') return missing('a SCRAM exchange in order')
    const final = scramClientFinal(first, { serverFirst, secret, hashes: HASHES })
    if (final.kind === 'failed') return missing(final.reason)
    this.#scram = { first, final }
    return send(saslResponseBody(final.message))
  }
}

/** The router cannot do what PostgreSQL asks for. */
export function loginImpossible(user: string, what: string): ErrorFields {
  return {
    S: 'FATAL',
    V: 'FATAL',
    C: '28000',
    M: `Cannot log in to PostgreSQL as user "${user}"`,
    D: `PostgreSQL wants what the router does not have: ${what}`,
  }
}

function send(body: Buffer): ProofStep {
  return { kind: 'send', body }
}

function missing(what: string): ProofStep {
  return { kind: 'missing', what }
}
