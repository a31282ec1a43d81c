import { parseScramVerifier, type ScramVerifier } from './scram-server.ts'

/** What is known of a user's password, as PostgreSQL (`pg_authid.rolpassword`) and PgBouncer (`userlist.txt`) write it. */
export type StoredSecret =
  | { readonly kind: 'plain'; readonly password: string }
  /** `md5` and 32 hex digits. */
  | { readonly kind: 'md5'; readonly stored: string }
  | { readonly kind: 'scram'; readonly verifier: ScramVerifier }

/** What neither looks like a hash nor like a verifier is a password. */
export function parseStoredSecret(text: string): StoredSecret {
  if (/^md5[0-9a-f]{32}$/.test(text)) return { kind: 'md5', stored: text }
  const verifier = parseScramVerifier(text)
  return verifier ? { kind: 'scram', verifier } : { kind: 'plain', password: text }
}

export type UserList =
  | { readonly kind: 'users'; readonly secrets: ReadonlyMap<string, StoredSecret> }
  | { readonly kind: 'malformed'; readonly line: number }

const ENTRY = /^\s*"((?:[^"]|"")*)"\s+"((?:[^"]|"")*)"/
const NOTHING = /^\s*(?:[;#].*)?$/

/** PgBouncer's `userlist.txt`: `"user" "secret"`, a quote doubled; what stands behind, and lines of `;`, are comments. */
export function parseUserList(text: string): UserList {
  const secrets = new Map<string, StoredSecret>()
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const match = ENTRY.exec(line)
    if (match) secrets.set(unquoted(match[1]), parseStoredSecret(unquoted(match[2])))
    else if (!NOTHING.test(line)) return { kind: 'malformed', line: index + 1 }
  }
  return { kind: 'users', secrets }
}

function unquoted(text = ''): string {
  return text.replaceAll('""', '"')
}
