import type { TlsSettings } from '../../model/tls-settings.ts'
import type { CertificateQuestion } from './host-facts.ts'

/** The part of a node's configuration that names certificates. */
export type TlsOfNode = {
  readonly security: {
    readonly tlsEnabled: boolean
    readonly certFile?: string
    readonly keyFile?: string
  }
  readonly ctl: { readonly certFile?: string; readonly keyFile?: string }
  readonly router: { readonly enabled: boolean; readonly tls: TlsSettings }
}

/** The certificates that are in use. */
export function certificatesOf({ security, ctl, router }: TlsOfNode): readonly CertificateQuestion[] {
  const { client, server } = router.tls
  const pairs: readonly (readonly [string, string | undefined, string | undefined, boolean])[] = [
    ['the API', security.certFile, security.keyFile, security.tlsEnabled],
    ['who asks other APIs', ctl.certFile, ctl.keyFile, security.tlsEnabled],
    ['the router', client.certFile, client.keyFile, router.enabled && client.mode !== 'disable'],
    [
      'the router towards PostgreSQL',
      server.certFile,
      server.keyFile,
      router.enabled && server.mode !== 'disable',
    ],
  ]
  return pairs.flatMap(([purpose, file, keyFile, isUsed]) =>
    isUsed && file !== undefined && keyFile !== undefined ? [{ for: purpose, file, keyFile }] : [],
  )
}
