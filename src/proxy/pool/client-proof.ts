import { SCRAM_SHA_256_PLUS } from '../../auth/channel-binding.ts'
import { md5Answer } from '../../auth/md5-password.ts'
import {
  scramServerFinal,
  scramServerFirst,
  type ScramServerFirst,
  type ScramVerifier,
} from '../../auth/scram-server.ts'
import { SCRAM_SHA_256 } from '../../auth/scram.ts'
import type { StoredSecret } from '../../auth/stored-secret.ts'
import { hmacSha256, md5Hex, pbkdf2Sha256, secretsEqual, sha256 } from '../../platform/hash.ts'
import type { Socket } from '../../platform/net.ts'
import { randomBytes } from '../../platform/random.ts'
import { Fault } from '../../std/fault.ts'
import { KiB } from '../../std/units.ts'
import { buildAuthentication, parsePassword, parseSaslInitial } from '../../wire/authentication.ts'
import { MessageReader, messageType } from '../../wire/frame.ts'
import { endPointOf } from '../tls/end-point.ts'
import type { FindSecret } from './secret-lookup.ts'
import type { UserSecrets } from './user-secrets.ts'
import type { ServerSecret } from '../backend/server-proof.ts'

/** What a client's proof is judged by. */
export type ProofBasis =
  | {
      readonly kind: 'scram'
      readonly verifier: ScramVerifier
      /** Known where the verifier was made here. */ readonly password?: string
    }
  | { readonly kind: 'md5'; readonly stored: string }

/** `undefined`: nothing that is stored so lets anybody in. */
export function basisOf(stored: StoredSecret, secrets: UserSecrets): ProofBasis | undefined {
  switch (stored.kind) {
    case 'md5':
    case 'scram':
      return stored
    case 'plain': {
      // An empty password lets nobody in, as with PostgreSQL.
      const { password } = stored
      const verifier = password === '' ? undefined : secrets.verifierOf(password)
      return verifier && { kind: 'scram', verifier, password }
    }
  }
}

/** The same for a user whose secret is still to be found; `undefined` where nobody knows it. */
export function findBasis(
  where: { readonly secrets: UserSecrets; readonly findSecret: FindSecret | undefined },
  user: string,
  answer: (basis: ProofBasis | undefined) => void,
): void {
  const { secrets, findSecret } = where
  const known = secrets.find(user)
  if (known || !findSecret) return answer(known && basisOf(known, secrets))
  findSecret(user, (outcome) => {
    const secret = outcome.kind === 'found' ? outcome.secret : null
    answer(secret === null ? undefined : basisOf(secrets.parse(secret), secrets))
  })
}

export type ProofOutcome =
  /** `rest`: what the client has sent behind its proof. */
  | { readonly kind: 'proved'; readonly secret: ServerSecret; readonly rest: Buffer }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'left' }

/** A proof is short; who sends more before it is in plays. */
const PROOF_BYTES_MAX = 64 * KiB
const PASSWORD = messageType('p')
const NONCE_BYTES = 18
const HASHES = { sha256, hmacSha256, pbkdf2Sha256 }

/**
 * Asks a client for a proof of its password and judges it. `done` is called once, unless the returned function is called
 * before. Its listeners are off the socket by then, and the socket is paused.
 */
export function askForProof(
  socket: Socket,
  asked: { readonly basis: ProofBasis; readonly early: Buffer },
  done: (outcome: ProofOutcome) => void,
): () => void {
  const reader = new MessageReader({ limitBytes: PROOF_BYTES_MAX })
  const judge =
    asked.basis.kind === 'scram'
      ? scramJudge(asked.basis, endPointOf(socket, 'server'))
      : md5Judge(asked.basis.stored)

  function release(): void {
    socket.off('data', onData)
    socket.off('end', onLeft)
    socket.off('close', onLeft)
    socket.pause()
  }
  function finish(outcome: ProofOutcome): void {
    release()
    done(outcome)
  }
  function onLeft(): void {
    finish({ kind: 'left' })
  }
  function onData(chunk: Buffer): void {
    try {
      reader.push(chunk)
      for (let next = reader.next(); next; next = reader.next()) {
        if (next.type !== PASSWORD) return finish(failed('it sent something else than its proof'))
        const verdict = judge.take(next.body)
        if (verdict.kind === 'failed') return finish(verdict)
        if (verdict.reply) socket.write(verdict.reply)
        if (verdict.secret) {
          return finish({ kind: 'proved', secret: verdict.secret, rest: reader.takeRest() })
        }
      }
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      finish(failed(error.message))
    }
  }

  socket.on('data', onData)
  socket.on('end', onLeft)
  socket.on('close', onLeft)
  socket.write(judge.request)
  if (asked.early.length > 0) onData(asked.early)
  socket.resume()
  return release
}

type Judge = {
  /** The first message to the client. */
  readonly request: Buffer
  /** Takes one answer; with a `secret` the proof is complete. */
  readonly take: (
    body: Buffer,
  ) =>
    | { readonly kind: 'good'; readonly reply?: Buffer; readonly secret?: ServerSecret }
    | { readonly kind: 'failed'; readonly reason: string }
}

function md5Judge(stored: string): Judge {
  const salt = randomBytes(4)
  return {
    request: buildAuthentication({ kind: 'md5', salt }),
    take: (body) =>
      secretsEqual(parsePassword(body) ?? '', md5Answer({ stored, salt, md5Hex }))
        ? { kind: 'good', secret: { kind: 'md5', stored } }
        : failed('the password is wrong'),
  }
}

/** `endPoint`: what the proof can be bound to, where the client came by TLS. */
function scramJudge(
  { verifier, password }: { verifier: ScramVerifier; password?: string },
  endPoint: Buffer | undefined,
): Judge {
  let first: ScramServerFirst | undefined
  const mechanisms = endPoint ? [SCRAM_SHA_256_PLUS, SCRAM_SHA_256] : [SCRAM_SHA_256]
  return {
    request: buildAuthentication({ kind: 'sasl', mechanisms }),
    take: (body) => {
      if (first) {
        const final = scramServerFinal(first, {
          clientFinal: body.toString('utf8'),
          verifier,
          hashes: HASHES,
        })
        if (final.kind === 'failed') return final
        const { clientKey } = final
        return {
          kind: 'good',
          reply: buildAuthentication({ kind: 'saslFinal', data: final.message }),
          secret:
            password === undefined
              ? { kind: 'keys', clientKey, serverKey: verifier.serverKey }
              : { kind: 'password', password },
        }
      }
      const initial = parseSaslInitial(body)
      if (!initial) return failed('its SASL message is malformed')
      const { mechanism, data: clientFirst } = initial
      const nonce = randomBytes(NONCE_BYTES).toString('base64')
      const challenge = scramServerFirst(verifier, { mechanism, clientFirst, nonce, endPoint })
      if (challenge.kind === 'failed') return challenge
      first = challenge
      return { kind: 'good', reply: buildAuthentication({ kind: 'saslContinue', data: challenge.message }) }
    },
  }
}

function failed(reason: string): { readonly kind: 'failed'; readonly reason: string } {
  return { kind: 'failed', reason }
}
