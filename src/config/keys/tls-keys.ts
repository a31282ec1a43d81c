import type { Key } from '../key.ts'
import { oneOf, path, text } from '../value-kinds.ts'

const value = <const T>(it: T) => ({ kind: 'value', value: it }) as const
const open = (means: string) => ({ kind: 'open', means }) as const
/** One setting serves all ports; PgBouncer's users look for it with the pool. */
const key = <T>(it: Key<T>): Key<T> => ({ ...it, aliases: [it.name.replace('router.', 'pool.')] })

const mode = oneOf(['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'])
const protocols = oneOf(['secure', 'tlsv1.2', 'tlsv1.3'], {
  synonyms: { default: 'secure', 'tlsv1.2,tlsv1.3': 'secure', 'tlsv1.2, tlsv1.3': 'secure' },
})
const PROTOCOLS = 'Versions of TLS: `secure` = 1.2 and 1.3.'
const CIPHERS = "OpenSSL's names, those of TLS 1.3 included, divided by colons."

/** TLS at the router's three ports and towards PostgreSQL, under PgBouncer's names. */
export const clientTlsKeys = {
  mode: key({
    name: 'router.client_tls_sslmode',
    type: mode,
    fallback: value('disable'),
    doc: 'TLS for clients, on all ports: `disable` = none, who asks for it is told so; `allow`, `prefer` = for those who ask; `require` = nobody gets in without; `verify-ca`, `verify-full` = and without a certificate of `client_tls_ca_file`.',
  }),
  certFile: key({
    name: 'router.client_tls_cert_file',
    type: path,
    fallback: open('`security.cert_file`'),
    doc: "The router's certificate towards clients (PEM, with its chain). Read at the router's start and at every reload.",
  }),
  keyFile: key({
    name: 'router.client_tls_key_file',
    type: path,
    fallback: open('`security.key_file`'),
    doc: 'Its key (PEM, without a passphrase).',
  }),
  caFile: key({
    name: 'router.client_tls_ca_file',
    type: path,
    fallback: open('none'),
    doc: "Who signs clients' certificates (PEM).",
  }),
  protocols: key({
    name: 'router.client_tls_protocols',
    type: protocols,
    fallback: value('secure'),
    doc: PROTOCOLS,
  }),
  ciphers: key({
    name: 'router.client_tls_ciphers',
    type: text,
    fallback: value('default'),
    doc: CIPHERS,
  }),
}

export const serverTlsKeys = {
  mode: key({
    name: 'router.server_tls_sslmode',
    type: mode,
    fallback: value('disable'),
    doc: "TLS from the router to PostgreSQL: `disable` = none; `allow`, `prefer` = where the server has it; `require` = always; `verify-ca` = and only to servers whose certificate `server_tls_ca_file` signed; `verify-full` = and that names the member's address.",
  }),
  certFile: key({
    name: 'router.server_tls_cert_file',
    type: path,
    fallback: open('none'),
    doc: "The router's certificate towards PostgreSQL (PEM), where pg_hba.conf wants one.",
  }),
  keyFile: key({
    name: 'router.server_tls_key_file',
    type: path,
    fallback: open('none'),
    doc: 'Its key (PEM, without a passphrase).',
  }),
  caFile: key({
    name: 'router.server_tls_ca_file',
    type: path,
    fallback: open('none'),
    doc: "Who signs PostgreSQL's certificates (PEM).",
  }),
  protocols: key({
    name: 'router.server_tls_protocols',
    type: protocols,
    fallback: value('secure'),
    doc: PROTOCOLS,
  }),
  ciphers: key({
    name: 'router.server_tls_ciphers',
    type: text,
    fallback: value('default'),
    doc: CIPHERS,
  }),
}

export type TlsSideKeys = typeof clientTlsKeys
