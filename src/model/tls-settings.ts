/**
 * PgBouncer's modes. Towards clients `allow` and `prefer` mean the same, and so do `verify-ca` and `verify-full`: there is no host name
 * to check. Towards servers `allow` means `prefer`.
 */
export type TlsMode = 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full'

export type TlsVersion = 'TLSv1.2' | 'TLSv1.3'

/** How the router speaks TLS to one side; paths of PEM files. */
export type TlsSide = {
  readonly mode: TlsMode
  readonly certFile?: string
  readonly keyFile?: string
  /** Who signs the certificates of the other side. */
  readonly caFile?: string
  readonly minVersion: TlsVersion
  readonly maxVersion: TlsVersion
  /** OpenSSL's names; absent: the runtime's own choice. */
  readonly ciphers?: string
}

export type TlsSettings = { readonly client: TlsSide; readonly server: TlsSide }

const PLAIN: TlsSide = { mode: 'disable', minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3' }

export const NO_TLS: TlsSettings = { client: PLAIN, server: PLAIN }

/** Whether the other side has to show a certificate that its authority signed. */
export function verifies({ mode }: TlsSide): boolean {
  return mode === 'verify-ca' || mode === 'verify-full'
}

/** Whether nothing may pass without TLS. */
export function demandsTls(side: TlsSide): boolean {
  return side.mode === 'require' || verifies(side)
}
