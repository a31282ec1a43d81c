import { X509Certificate } from 'node:crypto'
import { expect, it } from 'vitest'
import { makeCertificate } from '../../test/support/certificates.ts'
import { testCertificate } from '../../test/support/tls-fixture.ts'
import { endPointHash } from './channel-binding.ts'

const derOf = (pem: string): Buffer => new X509Certificate(pem).raw

it('finds the hash function that a certificate was signed with', () => {
  expect(endPointHash(derOf(testCertificate))).toBe('sha256')
  expect(endPointHash(derOf(makeCertificate({ commonName: 'a', signature: 'sha384' }).cert))).toBe('sha384')
  expect(endPointHash(derOf(makeCertificate({ commonName: 'a', signature: 'rsa' }).cert))).toBe('sha512')
})

it('counts a signature by MD5 or SHA-1 as SHA-256, as RFC 5929 wants', () => {
  const withAlgorithm = (oid: string): Buffer => {
    const name = Buffer.from(`06${(oid.length / 2).toString(16).padStart(2, '0')}${oid}`, 'hex')
    const algorithm = Buffer.concat([Buffer.from([0x30, name.length]), name])
    const content = Buffer.concat([Buffer.from('3000', 'hex'), algorithm])
    return Buffer.concat([Buffer.from([0x30, content.length]), content])
  }
  expect(endPointHash(withAlgorithm('2a864886f70d010105'))).toBe('sha256')
  expect(endPointHash(withAlgorithm('2a864886f70d010104'))).toBe('sha256')
  expect(endPointHash(withAlgorithm('2a864886f70d01010d'))).toBe('sha512')
})

it('knows none for a signature without a hash function, and for what is no certificate', () => {
  const whole = derOf(testCertificate)
  expect(endPointHash(derOf(makeCertificate({ commonName: 'a', signature: 'ed25519' }).cert))).toBeUndefined()
  for (let length = 0; length < 300; length += 1)
    expect(endPointHash(whole.subarray(0, length))).toBeUndefined()
  expect(endPointHash(Buffer.from('no certificate'))).toBeUndefined()
})
