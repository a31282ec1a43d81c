import { randomBytes, randomInt } from 'node:crypto'

/** `bytes` random bytes as hex digits. */
export function randomHex(bytes: number): string {
  return randomBytes(bytes).toString('hex')
}

/** `bytes` random bytes in the URL-safe base64 alphabet: for passwords and tokens. */
export function randomSecret(bytes: number): string {
  return randomBytes(bytes).toString('base64url')
}

/** An integer in [min, max). */
export function randomBetween(min: number, max: number): number {
  return randomInt(min, max)
}

export { randomBytes }
