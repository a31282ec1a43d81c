/** Binds a SCRAM exchange to the TLS connection that it runs in (RFC 5929): a proof that was made elsewhere is worth nothing here. */
export const SCRAM_SHA_256_PLUS = 'SCRAM-SHA-256-PLUS'

/** The one type of channel binding that PostgreSQL has. */
export const CHANNEL_BINDING = 'tls-server-end-point'

/** Hash functions by the object identifier (DER) of the algorithm that signed a certificate. */
const HASHES: Readonly<Record<string, EndPointHash>> = {
  // RSA with MD5 and SHA-1 count as SHA-256 (RFC 5929, 4.1), as does ECDSA with SHA-1.
  '2a864886f70d010104': 'sha256',
  '2a864886f70d010105': 'sha256',
  '2a864886f70d01010b': 'sha256',
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  '2a8648ce3d0401': 'sha256',
  '2a8648ce3d040302': 'sha256',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
}

export type EndPointHash = 'sha256' | 'sha384' | 'sha512'

const SEQUENCE = 0x30
const OBJECT_IDENTIFIER = 0x06

/**
 * With which hash function a server's certificate (DER) becomes the data of `tls-server-end-point`; `undefined` for a signature
 * that names none (Ed25519, RSA-PSS): there both sides have to do without channel binding.
 */
export function endPointHash(certificate: Buffer): EndPointHash | undefined {
  const whole = elementAt(certificate, 0)
  if (whole?.tag !== SEQUENCE) return undefined
  const signed = elementAt(certificate, whole.from)
  const algorithm = signed && elementAt(certificate, signed.to)
  if (algorithm?.tag !== SEQUENCE) return undefined
  const name = elementAt(certificate, algorithm.from)
  if (name?.tag !== OBJECT_IDENTIFIER) return undefined
  return HASHES[certificate.toString('hex', name.from, name.to)]
}

type Element = { readonly tag: number; readonly from: number; readonly to: number }

/** The element of DER that begins there: its tag, and where its content is. */
function elementAt(bytes: Buffer, at: number): Element | undefined {
  const [tag, first] = [bytes[at], bytes[at + 1]]
  if (tag === undefined || first === undefined) return undefined
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f
  const from = at + 2 + lengthBytes
  if (lengthBytes > 4 || from > bytes.length) return undefined
  const length = lengthBytes === 0 ? first : bytes.readUIntBE(at + 2, lengthBytes)
  const to = from + length
  return to > bytes.length ? undefined : { tag, from, to }
}
