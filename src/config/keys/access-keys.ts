import type { Key, ListKey, MapKey } from '../key.ts'
import { hostOrNetwork, oneOf, path, yesOrNo } from '../value-kinds.ts'

const value = <const T>(it: T) => ({ kind: 'value', value: it }) as const
const open = (means: string) => ({ kind: 'open', means }) as const
const key = <T>(it: Key<T>): Key<T> => it

/** Who may change the cluster over the API beside the token, and what those who ask show; the names are Patroni's. */
export const accessKeys = {
  allowlistIncludeMembers: key({
    name: 'security.allowlist_include_members',
    type: yesOrNo,
    fallback: value(false),
    doc: 'Changes are taken from the addresses of the members, and of nodes that are invited, too; from no other where `allowlist` is empty.',
  }),
  verifyClient: key({
    name: 'security.verify_client',
    type: oneOf(['none', 'optional', 'required']),
    fallback: value('none'),
    doc: 'Certificates of those who ask, signed by `security.ca_file`: `required` = nobody gets an answer without; `optional` = nobody changes anything without, health checks are answered; `none` = they are not asked for. Agents and routers of the members show theirs.',
  }),
  ctlCaFile: key({
    name: 'ctl.ca_file',
    type: path,
    fallback: open('`security.ca_file`, else `security.cert_file`'),
    doc: 'Who signed the certificates of the APIs that the command line asks (PEM).',
  }),
  ctlCertFile: key({
    name: 'ctl.cert_file',
    type: path,
    fallback: open('`security.cert_file`'),
    doc: 'What the command line, and this node towards the others, shows an API that asks for a certificate (PEM).',
  }),
  ctlKeyFile: key({
    name: 'ctl.key_file',
    type: path,
    fallback: open('`security.key_file`'),
    doc: 'Private key of that certificate (PEM).',
  }),
  ctlInsecure: key({
    name: 'ctl.insecure',
    type: yesOrNo,
    fallback: value(false),
    doc: 'The command line does not check whose certificate an API shows. Agents and routers always do.',
  }),
}

export const accessLists = {
  allowlist: {
    name: 'security.allowlist',
    doc: 'Addresses, networks (`10.0.0.0/8`) and host names that changes are taken from; with none, and without `allowlist_include_members`, from everywhere. The token is needed all the same; reads are open to all.',
    item: hostOrNetwork,
    fallback: [],
    separator: /\s*,\s*/,
  },
} satisfies Readonly<Record<string, ListKey>>

/** What the server itself says of an answer: another word for it would make the answer unreadable. */
const OF_THE_SERVER = /^(connection|content-length|content-type|transfer-encoding|upgrade|www-authenticate)$/i

const headers = (name: string, doc: string): MapKey => ({
  name,
  doc,
  check: (header, written) => {
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(header))
      return { rule: 'this is not the name of a header', remedy: 'use letters, digits and hyphens' }
    if (OF_THE_SERVER.test(header))
      return { rule: 'the server itself decides this header', remedy: 'remove it' }
    if (!/^[\t\u0020-\u007e\u0080-\u00ff]*$/.test(written))
      return { rule: 'a header is one line of plain characters', remedy: 'write it without line breaks' }
    return undefined
  },
})

export const accessMaps = {
  httpHeaders: headers('security.http_extra_headers', 'Headers that every answer of the API has.'),
  httpsHeaders: headers('security.https_extra_headers', 'Headers that it has besides where it speaks TLS.'),
}
