import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  hkdfSync,
  pbkdf2Sync,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto'

export function sha256(...parts: readonly (string | Uint8Array)[]): Buffer {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

export function digest(algorithm: 'sha256' | 'sha384' | 'sha512', bytes: Uint8Array): Buffer {
  return createHash(algorithm).update(bytes).digest()
}

export function sha256Hex(...parts: readonly (string | Uint8Array)[]): string {
  return sha256(...parts).toString('hex')
}

export function md5Hex(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('md5')
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}

export function hmacSha256(key: string | Uint8Array, ...parts: readonly (string | Uint8Array)[]): Buffer {
  const hmac = createHmac('sha256', key)
  for (const part of parts) hmac.update(part)
  return hmac.digest()
}

export function pbkdf2Sha256(password: string | Uint8Array, salt: Uint8Array, iterations: number): Buffer {
  return pbkdf2Sync(password, salt, iterations, 32, 'sha256')
}

/** Compares two secrets in a time that does not depend on where they differ. */
export function secretsEqual(left: string, right: string): boolean {
  return timingSafeEqual(sha256(left), sha256(right))
}

const SEAL_KEY_BYTES = 32
const SEAL_NONCE_BYTES = 12
const SEAL_TAG_BYTES = 16

/** Encrypts and authenticates (AES-256-GCM) under a key for this `context` alone (HKDF, RFC 5869). Base64. */
export function seal(secret: string, context: string, text: string): string {
  const nonce = randomBytes(SEAL_NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', sealKey(secret, context), nonce)
  const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
  return Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64')
}

/** What `seal` was given; `undefined` for another secret or context, and for what was changed on its way. */
export function unseal(secret: string, context: string, sealed: string): string | undefined {
  const bytes = Buffer.from(sealed, 'base64')
  const start = SEAL_NONCE_BYTES + SEAL_TAG_BYTES
  if (bytes.length < start) return undefined
  const decipher = createDecipheriv(
    'aes-256-gcm',
    sealKey(secret, context),
    bytes.subarray(0, SEAL_NONCE_BYTES),
    { authTagLength: SEAL_TAG_BYTES },
  )
  decipher.setAuthTag(bytes.subarray(SEAL_NONCE_BYTES, start))
  try {
    return Buffer.concat([decipher.update(bytes.subarray(start)), decipher.final()]).toString('utf8')
  } catch {
    return undefined
  }
}

function sealKey(secret: string, context: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', context, SEAL_KEY_BYTES))
}
