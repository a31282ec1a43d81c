import type { CertificateFacts, NodeFacts } from '#client'
import { HOUR } from '../../std/units.ts'
import { error, ok, warning, type Check } from '../diagnosis.ts'

const DAY = 24 * HOUR
/** A certificate that is renewed by a machine is renewed before that. */
const SOON_DAYS = 21

export const certificates: Check<NodeFacts> = {
  name: 'certificates',
  about: 'the certificates of API and router can be used, and for three weeks more',
  judge: ({ host }) => host.certificates.map(judged),
}

function judged({ for: purpose, file, expiresAt, expiresInMs, trouble }: CertificateFacts) {
  const which = `the certificate of ${purpose} (${file})`
  if (trouble !== undefined || expiresInMs === undefined)
    return error(
      'CERTIFICATE_UNUSABLE',
      `${which} cannot be used: ${trouble ?? 'it does not say how long it holds'}`,
      'Put a certificate and the key that belongs to it there, readable for the agent, then: systemctl reload pg-metako',
    )
  const days = Math.floor(expiresInMs / DAY)
  const fix = `Renew ${file}, then: systemctl reload pg-metako (for the API a restart)`
  if (expiresInMs <= 0)
    return error(
      'CERTIFICATE_EXPIRED',
      `${which} expired on ${expiresAt ?? 'a day in the past'}: nobody who checks it connects`,
      fix,
    )
  if (days < SOON_DAYS)
    return warning(
      'CERTIFICATE_EXPIRES',
      `${which} expires in ${days} days, on ${expiresAt ?? 'a day soon'}`,
      fix,
    )
  return ok('CERTIFICATE', `${which} holds ${days} days more`)
}
