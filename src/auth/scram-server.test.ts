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

type Channel = {
  readonly offered?: readonly string[]
  /** The server's certificate as the client saw it, hashed, and as the server has it. */
  readonly ofClient?: Buffer
  readonly ofServer?: Buffer
}

/** One login of a client with a server that has the verifier. */
function login(secret: ScramSecret, verifier: ScramVerifier, channel: Channel = {}) {
  const { offered: mechanisms, ofClient, ofServer } = channel
  const first = scramClientFirst({
    nonce: 'client',
    endPoint: ofClient,
    ...(mechanisms ? { mechanisms } : {}),
  })
  const challenge = scramServerFirst(verifier, {
    mechanism: first.mechanism,
    clientFirst: first.message,
    nonce: 'server',
    endPoint: ofServer,
  })
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
      mechanism: 'SCRAM-SHA-256',
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
      const offer = { mechanism: 'SCRAM-SHA-256', clientFirst, nonce: 'server' }
      expect(scramServerFirst(verifier, offer).kind).toBe('failed')
    }
    const clientFirst = 'y,,n=,r=client'
    const first = scramServerFirst(verifier, { mechanism: 'SCRAM-SHA-256', clientFirst, nonce: 'server' })
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

describe('SCRAM-SHA-256-PLUS', () => {
  const verifier = verifierOf('pencil')
  const secret = { kind: 'password', password: 'pencil' } as const
  const certificate = Buffer.alloc(32, 1)
  const offered = ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256']

  it('lets in where both saw the same certificate, by a password and by the keys of an earlier proof', () => {
    const channel = { offered, ofClient: certificate, ofServer: certificate }
    const { end } = login(secret, verifier, channel)
    if (end.kind !== 'final') throw new Error(end.reason)
    const keys = { kind: 'keys', clientKey: end.clientKey, serverKey: verifier.serverKey } as const
    const elsewhere = Buffer.alloc(48, 2)
    const again = login(keys, verifier, { offered, ofClient: elsewhere, ofServer: elsewhere })
    expect(again.end.kind).toBe('final')
  })

  it('refuses a proof that was made through another certificate', () => {
    const channel = { offered, ofClient: Buffer.alloc(32, 2), ofServer: certificate }
    expect(login(secret, verifier, channel).end).toEqual({
      kind: 'failed',
      reason: 'the client changed its channel binding',
    })
  })

  it('refuses who was not told of the offer, and who binds to something else', () => {
    const refused = (mechanism: string, clientFirst: string, endPoint?: Buffer) =>
      scramServerFirst(verifier, { mechanism, clientFirst, nonce: 'server', endPoint }).kind
    expect(refused('SCRAM-SHA-256', 'y,,n=,r=client', certificate)).toBe('failed')
    expect(refused('SCRAM-SHA-256-PLUS', 'y,,n=,r=client', certificate)).toBe('failed')
    expect(refused('SCRAM-SHA-256-PLUS', 'n,,n=,r=client', certificate)).toBe('failed')
    expect(refused('SCRAM-SHA-256-PLUS', 'p=tls-unique,,n=,r=client', certificate)).toBe('failed')
    expect(refused('SCRAM-SHA-256-PLUS', 'p=tls-server-end-point,,n=,r=client')).toBe('failed')
    expect(refused('SCRAM-SHA-1', 'n,,n=,r=client')).toBe('failed')
  })

  it('says that it could have been bound where the server does not offer it, and lets in who cannot', () => {
    const first = scramClientFirst({ nonce: 'x', mechanisms: ['SCRAM-SHA-256'], endPoint: certificate })
    expect(first.message).toBe('y,,n=,r=x')
    expect(login(secret, verifier, { ofClient: certificate }).end.kind).toBe('final')
    expect(login(secret, verifier, { offered, ofServer: certificate }).end.kind).toBe('final')
  })
})
