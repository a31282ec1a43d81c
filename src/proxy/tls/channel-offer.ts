import { SCRAM_SHA_256_PLUS } from '../../auth/channel-binding.ts'
import type { Socket } from '../../platform/net.ts'
import { isTls } from '../../platform/tls.ts'
import { buildAuthentication, parseAuthentication } from '../../wire/authentication.ts'
import { messageType } from '../../wire/frame.ts'
import { endPointOf } from './end-point.ts'

/**
 * What becomes of PostgreSQL's offer of channel binding on its way to a client:
 * - `PASS`: there is none, or the client sees the same certificate as we do: it can bind to PostgreSQL itself.
 * - `HIDE`: the client came without TLS. It would take the offer for an attack.
 * - `ANSWER`: the client could be bound to our certificate alone, which PostgreSQL would refuse; and one that is not told of the offer
 *   says so, which PostgreSQL takes for an attack.
 */
export type OfferFate = 'PASS' | 'HIDE' | 'ANSWER'

const HEADER_BYTES = 5
const AUTHENTICATION = messageType('R')
const NEGOTIATION = messageType('v')

/** `first`: PostgreSQL's first messages. */
export function fateOfOffer(
  sides: { readonly client: Socket; readonly backend: Socket },
  first: Buffer,
): OfferFate {
  if (!isTls(sides.backend) || !findOffer(first)?.mechanisms.includes(SCRAM_SHA_256_PLUS)) return 'PASS'
  if (!isTls(sides.client)) return 'HIDE'
  const ours = endPointOf(sides.client, 'server')
  const theirs = endPointOf(sides.backend, 'client')
  return ours && theirs?.equals(ours) ? 'PASS' : 'ANSWER'
}

/** The same messages without the offer. */
export function withoutOffer(first: Buffer): Buffer {
  const offer = findOffer(first)
  if (!offer) return first
  const mechanisms = offer.mechanisms.filter((name) => name !== SCRAM_SHA_256_PLUS)
  const request = buildAuthentication({ kind: 'sasl', mechanisms })
  return Buffer.concat([first.subarray(0, offer.at), request, first.subarray(offer.end)])
}

/** Where PostgreSQL offers SASL, behind what it says of the protocol's version at most. */
export function findOffer(
  first: Buffer,
): { readonly at: number; readonly end: number; readonly mechanisms: readonly string[] } | undefined {
  let at = 0
  while (first.length - at >= HEADER_BYTES) {
    const type = first[at]
    const end = at + 1 + first.readInt32BE(at + 1)
    if (end < at + HEADER_BYTES || end > first.length) return undefined
    if (type === AUTHENTICATION) {
      const request = parseAuthentication(first.subarray(at + HEADER_BYTES, end))
      return request?.kind === 'sasl' ? { at, end, mechanisms: request.mechanisms } : undefined
    }
    if (type !== NEGOTIATION) return undefined
    at = end
  }
  return undefined
}
