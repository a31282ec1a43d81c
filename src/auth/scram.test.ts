import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { md5Password } from './md5-password.ts'
import {
  scramClientFinal,
  scramClientFirst,
  scramVerifier,
  scramVerifyServer,
  type ScramHashes,
} from './scram.ts'

const hashes: ScramHashes = {
  sha256: (...parts) => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest(),
  hmacSha256: (key, ...parts) =>
    parts.reduce((hmac, part) => hmac.update(part), createHmac('sha256', key)).digest(),
  pbkdf2Sha256: (password, salt, iterations) => pbkdf2Sync(password, salt, iterations, 32, 'sha256'),
}

const md5Hex = (...parts: readonly (string | Uint8Array)[]) =>
  parts.reduce((hash, part) => hash.update(part), createHash('md5')).digest('hex')

/** RFC 7677, section 3. */
const SERVER_FIRST = 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096'
const first = scramClientFirst({ nonce: 'rOprNGfwEbeRWgbNEkqO', username: 'user' })
const answer = (serverFirst: string, password = 'pencil') =>
  scramClientFinal(first, { serverFirst, secret: { kind: 'password', password }, hashes })

describe('SCRAM-SHA-256 client', () => {
  it('speaks the exchange of RFC 7677', () => {
    expect(first.message).toBe('n,,n=user,r=rOprNGfwEbeRWgbNEkqO')
    const final = answer(SERVER_FIRST)
    if (final.kind !== 'final') throw new Error(final.reason)
    expect(final.message).toBe(
      'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
    )
    expect(scramVerifyServer(final, 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=')).toEqual({ kind: 'ok' })
  })

  it('escapes a user name as RFC 5802 says', () => {
    expect(scramClientFirst({ nonce: 'x', username: 'a,b=c' }).message).toBe('n,,n=a=2Cb=3Dc,r=x')
  })

  it('does not trust a server that cannot prove the password', () => {
    const final = answer(SERVER_FIRST)
    if (final.kind !== 'final') throw new Error(final.reason)
    for (const text of ['v=AAAA', 'v=', '', 'e=other-error', 'x=1']) {
      expect(scramVerifyServer(final, text).kind).toBe('failed')
    }
  })

  it('refuses a challenge that is malformed, foreign or ruinously dear', () => {
    const challenges = [
      '',
      'r=somebodyelse,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
      'r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
      'r=rOprNGfwEbeRWgbNEkqO1,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0',
      'r=rOprNGfwEbeRWgbNEkqO1,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=999999999',
      'm=ext,r=rOprNGfwEbeRWgbNEkqO1,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1',
    ]
    for (const challenge of challenges) expect(answer(challenge).kind).toBe('failed')
  })

  it('prepares passwords as PostgreSQL does, and leaves those alone that cannot be prepared', () => {
    expect(answer(SERVER_FIRST, 'I\u00adX')).toEqual(answer(SERVER_FIRST, 'IX'))
    expect(answer(SERVER_FIRST, '\u00aa \u2168')).toEqual(answer(SERVER_FIRST, 'a IX'))
    expect(answer(SERVER_FIRST, 'a\u00a0b')).toEqual(answer(SERVER_FIRST, 'a b'))
    expect(answer(SERVER_FIRST, 'é\u0007\u00ad')).not.toEqual(answer(SERVER_FIRST, 'é\u0007'))
  })
})

describe('stored passwords', () => {
  it('are the verifier that PostgreSQL itself would store', () => {
    // Stored key and server key of RFC 7677's exchange: the server of that exchange would accept its client.
    const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
    expect(scramVerifier({ password: 'pencil', salt, hashes })).toBe(
      'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
    )
  })

  it('answer an md5 challenge', () => {
    const salt = Buffer.from([1, 2, 3, 4])
    expect(md5Password({ user: 'u', password: 'p', salt, md5Hex })).toBe(`md5${md5Hex(md5Hex('pu'), salt)}`)
  })
})
