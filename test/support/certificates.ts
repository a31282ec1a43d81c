import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'
import { isIPv4 } from 'node:net'

export type TestCertificate = { readonly name: string; readonly cert: string; readonly key: string }

type Wish = {
  readonly commonName: string
  /** Host names and IPv4 addresses. */
  readonly hosts?: readonly string[]
  /** Absent: it signs itself, and may sign others. */
  readonly issuer?: TestAuthority
  readonly validForMs?: number
  readonly signature?: keyof typeof SIGNATURES
}

export type TestAuthority = TestCertificate & { readonly privateKey: KeyObject }

const DAY_MS = 86_400_000
/** X.509's names of algorithms, as DER. */
const SIGNATURES = {
  sha256: { digest: 'sha256', oid: '2a8648ce3d040302' },
  sha384: { digest: 'sha384', oid: '2a8648ce3d040303' },
  rsa: { digest: 'sha512', oid: '2a864886f70d01010d' },
  ed25519: { digest: null, oid: '2b6570' },
} as const

/** A certificate that is made here and now, signed by an authority or by itself. */
export function makeCertificate(wish: Wish): TestAuthority {
  const kind = wish.signature ?? 'sha256'
  const signature = SIGNATURES[kind]
  const { privateKey, publicKey } = keyPair(kind)
  const now = Date.now()
  const algorithm = sequence(
    identifier(signature.oid),
    ...(kind === 'rsa' ? [der(0x05, Buffer.alloc(0))] : []),
  )
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    nameOf(wish.issuer?.name ?? wish.commonName),
    sequence(time(now - DAY_MS), time(now + (wish.validForMs ?? 365 * DAY_MS))),
    nameOf(wish.commonName),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions(wish))),
  )
  const signed = sign(signature.digest, body, wish.issuer?.privateKey ?? privateKey)
  const whole = sequence(body, algorithm, der(0x03, Buffer.concat([Buffer.from([0]), signed])))
  return {
    name: wish.commonName,
    cert: pem('CERTIFICATE', whole),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    privateKey,
  }
}

function keyPair(kind: keyof typeof SIGNATURES): { privateKey: KeyObject; publicKey: KeyObject } {
  switch (kind) {
    case 'rsa':
      return generateKeyPairSync('rsa', { modulusLength: 2048 })
    case 'ed25519':
      return generateKeyPairSync('ed25519')
    default:
      return generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  }
}

function extensions({ hosts = [], issuer }: Wish): Buffer[] {
  const names = hosts.map((host) =>
    isIPv4(host) ? der(0x87, Buffer.from(host.split('.').map(Number))) : der(0x82, Buffer.from(host)),
  )
  return [
    ...(names.length > 0 ? [extension('551d11', sequence(...names))] : []),
    ...(issuer ? [] : [extension('551d13', sequence(der(0x01, Buffer.from([0xff]))))]),
  ]
}

function extension(oid: string, value: Buffer): Buffer {
  return sequence(identifier(oid), der(0x04, value))
}

function nameOf(commonName: string): Buffer {
  return sequence(der(0x31, sequence(identifier('550403'), der(0x0c, Buffer.from(commonName)))))
}

function time(at: number): Buffer {
  const text = new Date(at).toISOString().replaceAll(/[-:T]|\.\d+/g, '')
  return der(0x17, Buffer.from(text.slice(2)))
}

function identifier(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'))
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts))
}

function der(tag: number, content: Buffer): Buffer {
  const { length } = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}
