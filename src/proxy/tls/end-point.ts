import { endPointHash } from '../../auth/channel-binding.ts'
import { digest } from '../../platform/hash.ts'
import type { Socket } from '../../platform/net.ts'
import { serverCertificate } from '../../platform/tls.ts'

/** The data of `tls-server-end-point` for a connection that we are one side of; `undefined` where there is none. */
export function endPointOf(socket: Socket, ownSide: 'server' | 'client'): Buffer | undefined {
  const certificate = serverCertificate(socket, ownSide)
  const hash = certificate && endPointHash(certificate)
  return hash && digest(hash, certificate)
}
