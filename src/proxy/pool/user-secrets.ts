import { parseScramVerifier, type ScramVerifier } from '../../auth/scram-server.ts'
import { scramVerifier } from '../../auth/scram.ts'
import { parseStoredSecret, parseUserList, type StoredSecret } from '../../auth/stored-secret.ts'
import { hmacSha256, pbkdf2Sha256, sha256 } from '../../platform/hash.ts'
import { randomBytes } from '../../platform/random.ts'

const SALT_BYTES = 16

/** The users of `userlist.txt`, as it was read last: a file that cannot be read does not replace one that could. */
export class UserSecrets {
  #secrets: ReadonlyMap<string, StoredSecret> = new Map()
  /** A password costs thousands of hashes to make a verifier of: once, not at every login. */
  #verifiers = new Map<string, ScramVerifier>()

  get size(): number {
    return this.#secrets.size
  }

  find(user: string): StoredSecret | undefined {
    return this.#secrets.get(user)
  }

  /** A secret as PostgreSQL keeps it. */
  parse(text: string): StoredSecret {
    return parseStoredSecret(text)
  }

  names(): readonly string[] {
    return [...this.#secrets.keys()]
  }

  /** Takes the text of a list over; the line that is malformed, if one is. */
  load(text: string): number | undefined {
    const list = parseUserList(text)
    if (list.kind === 'malformed') return list.line
    this.#secrets = list.secrets
    this.#verifiers = new Map()
    return undefined
  }

  /** A verifier for a password that is known in clear. */
  verifierOf(password: string): ScramVerifier | undefined {
    const known = this.#verifiers.get(password)
    if (known) return known
    const hashes = { sha256, hmacSha256, pbkdf2Sha256 }
    const made = parseScramVerifier(scramVerifier({ password, salt: randomBytes(SALT_BYTES), hashes }))
    if (made) this.#verifiers.set(password, made)
    return made
  }
}
