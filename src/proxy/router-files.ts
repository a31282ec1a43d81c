import type { TlsSettings } from '../model/tls-settings.ts'
import { wallMs } from '../platform/clock.ts'
import { readFileSync } from '../platform/disk.ts'
import type { Logger } from '../platform/log.ts'
import { every } from '../platform/timers.ts'
import { messageOf } from '../std/fault.ts'
import { HOUR } from '../std/units.ts'
import { UserSecrets } from './pool/user-secrets.ts'
import { RouterTls } from './tls/router-tls.ts'

const CERTIFICATE_CHECK_EVERY_MS = 12 * HOUR

/** What the router reads from files, at its start and whenever it is told to: certificates and the list of users. */
export class RouterFiles {
  readonly tls: RouterTls
  readonly secrets = new UserSecrets()
  readonly #log: Logger
  readonly #usersFile: string | undefined

  /** Throws `TLS_FILE_UNUSABLE`. */
  constructor(
    log: Logger,
    options: { readonly tls: TlsSettings | undefined; readonly usersFile: string | undefined },
  ) {
    this.#log = log
    this.#usersFile = options.usersFile
    this.tls = new RouterTls(
      options.tls,
      (path) => readFileSync(path, 'utf8'),
      (server, reason) => log.warn('No TLS with a server', { server, reason }),
    )
    // A list that cannot be read is no reason to serve nobody: who is in it is asked by PostgreSQL.
    const trouble = this.#readUsers()
    if (trouble !== undefined) log.warn(trouble)
  }

  /** What is wrong with the files, if anything; those stay in force that were read before. */
  reload(): string | undefined {
    const troubles = [this.#readUsers(), this.tls.reload()].filter((trouble) => trouble !== undefined)
    this.#warnOfEndings()
    if (troubles.length === 0) return undefined
    const reason = troubles.join('; ')
    this.#log.error('Not everything could be read again', { reason })
    return reason
  }

  /** Warns of certificates that end, until the returned function is called. */
  watch(): () => void {
    this.#warnOfEndings()
    return every(CERTIFICATE_CHECK_EVERY_MS, () => this.#warnOfEndings())
  }

  #readUsers(): string | undefined {
    const file = this.#usersFile
    if (file === undefined) return undefined
    try {
      const line = this.secrets.load(readFileSync(file, 'utf8'))
      if (line !== undefined) return `Cannot read the list of users: line ${line} of ${file} is malformed`
      this.#log.info('Read the list of users', { file, users: this.secrets.size })
      return undefined
    } catch (error) {
      return `Cannot read the list of users: ${messageOf(error)}`
    }
  }

  #warnOfEndings(): void {
    const now = wallMs()
    for (const { file, validUntil } of this.tls.endingSoon(now)) {
      const fields = { file, validUntil: new Date(validUntil).toISOString() }
      if (validUntil > now) this.#log.warn('A certificate ends soon: renew it, then reload', fields)
      else this.#log.error('A certificate has ended: renew it, then reload', fields)
    }
  }
}
