import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { parseScramVerifier, scramServerFinal, scramServerFirst, type ScramVerifier } from './scram-server.ts'
import {
  scramClientFinal,
  scramClientFirst,
  scramVerifier,
  scramVerifyServer,
  type ScramHashes,
  type ScramSecret,
} from './scram.ts'

const hashes: ScramHashes = {
  sha256: (...parts) => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest(),
  hmacSha256: (key, ...parts) =>
    parts.reduce((hmac, part) => hmac.update(part), createHmac('sha256', key)).digest(),
  pbkdf2Sha256: (password, salt, iterations) => pbkdf2Sync(password, salt, iterations, 32, 'sha256'),
}

function verifierOf(password: string): ScramVerifier {
  const text = scramVerifier({ password, salt: Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'), hashes })
  const verifier = parseScramVerifier(text)
  if (!verifier) throw new Error(text)
  return verifier
}

/** One login of a client with a server that has the verifier. */
function login(secret: ScramSecret, verifier: ScramVerifier) {
  const first = scramClientFirst({ nonce: 'client' })
  const challenge = scramServerFirst(verifier, { clientFirst: first.message, nonce: 'server' })
  if (challenge.kind !== 'first') throw new Error(challenge.reason)
  const answer = scramClientFinal(first, { serverFirst: challenge.message, secret, hashes })
  if (answer.kind !== 'final') throw new Error(answer.reason)
  const end = scramServerFinal(challenge, { clientFinal: answer.message, verifier, hashes })
  return { end, answer }
}

describe('SCRAM-SHA-256 server', () => {
  it('speaks the exchange of RFC 7677', () => {
    const verifier = verifierOf('pencil')
    const first = scramServerFirst(verifier, {
      clientFirst: 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
      nonce: '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
    })
    if (first.kind !== 'first') throw new Error(first.reason)
    expect(first.message).toBe(
      'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
    )
    const clientFinal =
      'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ='
    const final = scramServerFinal(first, { clientFinal, verifier, hashes })
    expect(final).toMatchObject({ kind: 'final', message: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=' })
  })

  it('learns from a proof what logs in elsewhere, without the password', () => {
    const verifier = verifierOf('pencil')
    const { end } = login({ kind: 'password', password: 'pencil' }, verifier)
    if (end.kind !== 'final') throw new Error(end.reason)
    const keys = { kind: 'keys', clientKey: end.clientKey, serverKey: verifier.serverKey } as const
    const again = login(keys, verifier)
    expect(again.end.kind).toBe('final')
    if (again.end.kind === 'final') {
      expect(scramVerifyServer(again.answer, again.end.message)).toEqual({ kind: 'ok' })
    }
    expect(login(keys, verifierOf('another')).end.kind).toBe('failed')
  })

  it('refuses a wrong password, and every change of the exchange', () => {
    const verifier = verifierOf('pencil')
    expect(login({ kind: 'password', password: 'pen' }, verifier).end).toMatchObject({ kind: 'failed' })
    for (const clientFirst of ['', 'n', 'p=tls-server-end-point,,n=,r=x', 'n,,n=,r=', 'x,,n=,r=a']) {
      expect(scramServerFirst(verifier, { clientFirst, nonce: 'server' }).kind).toBe('failed')
    }
    const first = scramServerFirst(verifier, { clientFirst: 'y,,n=,r=client', nonce: 'server' })
    if (first.kind !== 'first') throw new Error(first.reason)
    const proof = Buffer.alloc(32).toString('base64')
    for (const clientFinal of [
      '',
      `c=biws,r=clientserver,p=${proof}`,
      `c=eSws,r=client,p=${proof}`,
      'c=eSws,r=clientserver,p=AAAA',
      'c=eSws,r=clientserver',
    ]) {
      expect(scramServerFinal(first, { clientFinal, verifier, hashes }).kind).toBe('failed')
    }
  })
})
