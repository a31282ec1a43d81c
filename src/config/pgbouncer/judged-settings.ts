import type { Finding } from '../problem.ts'

/** What becomes of a value: taken over, or not; with a note where something of it does nothing. */
export type Judgement =
  | { readonly kind: 'taken'; readonly value: string | undefined; readonly note?: string }
  | { readonly kind: 'refused'; readonly finding: Finding }

const KNOWN_TYPES = ['md5', 'scram-sha-256', 'trust', 'cert']
/** What each other way would need. */
const OTHER_TYPES: Readonly<Record<string, string>> = {
  any: 'would let in everybody, and to the console as admin',
  hba: 'needs the rules of auth_hba_file, which may refuse',
  ldap: 'needs an LDAP server, which the router does not ask',
  pam: 'needs PAM, which the router does not ask',
}

/** Another way to prove who one is takes its place only when somebody says so: it might let in more. */
export function judgeAuthType(written: string, isGiven: boolean): Judgement {
  const type = written.toLowerCase()
  if (KNOWN_TYPES.includes(type)) return { kind: 'taken', value: type }
  if (type === 'plain')
    return {
      kind: 'taken',
      value: 'md5',
      note: 'no password is sent in clear: clients are asked by SCRAM or md5',
    }
  const need = OTHER_TYPES[type]
  if (need === undefined) {
    const finding = {
      rule: `PgBouncer has no such way to authenticate`,
      remedy: `write one of ${[...KNOWN_TYPES, 'plain', ...Object.keys(OTHER_TYPES)].join(', ')}`,
    }
    return { kind: 'refused', finding }
  }
  if (isGiven) return { kind: 'taken', value: undefined, note: `it ${need}; pool.auth_type counts` }
  return {
    kind: 'refused',
    finding: {
      rule: `this way to authenticate ${need}, and nothing takes its place by itself`,
      remedy:
        'write pool.auth_type into the config, which counts before this file: md5 or scram-sha-256, or server to have PostgreSQL and its pg_hba.conf ask each client',
    },
  }
}

/** The router listens on one address; never on more than the file says. */
export function judgeListenAddr(written: string): Judgement {
  const [first, ...others] = written
    .split(',')
    .map((address) => address.trim())
    .filter((address) => address !== '')
  if (first === undefined) {
    return {
      kind: 'taken',
      value: undefined,
      note: 'there is no Unix socket: the router listens on TCP, as router.listen_host says',
    }
  }
  if (others.length === 0) return { kind: 'taken', value: first }
  return { kind: 'taken', value: first, note: `the router listens on one address: ${first}` }
}

/** Followed by the router for every client, where PostgreSQL reports them. */
const TRACKED = ['intervalstyle', 'search_path', 'default_transaction_read_only', 'application_name']

export function judgeTracked(written: string): Judgement {
  const names = written.split(',').map((name) => name.trim())
  const unknown = names.filter((name) => name !== '' && !TRACKED.includes(name.toLowerCase()))
  if (unknown.length === 0) return { kind: 'taken', value: undefined }
  return {
    kind: 'taken',
    value: undefined,
    note: `not followed from client to client: ${unknown.join(', ')}`,
  }
}
