import { demandsTls, NO_TLS, verifies, type TlsSettings, type TlsSide } from '../../model/tls-settings.ts'
import {
  checkAuthority,
  checkCertificate,
  TlsAcceptor,
  tlsClient,
  type TlsClient,
  type TlsTexts,
} from '../../platform/tls.ts'
import { Fault, messageOf } from '../../std/fault.ts'
import { HOUR } from '../../std/units.ts'

type ReadText = (path: string) => string

/** What a server connection speaks TLS with. */
export type ServerTls = {
  readonly client: TlsClient
  /** Else a server that has no TLS is spoken to without. */
  readonly isDemanded: boolean
  /** To be told when no TLS came about with a server. */
  readonly noteFailure: (server: string, reason: string) => void
}

type Ending = { readonly file: string; readonly validUntil: number }

/** Servers whose last failure is remembered, so that it is told once and not with every attempt. */
const SERVERS_MAX = 256
/** A certificate that ends sooner than this is worth a word. */
const WARN_BEFORE_MS = 30 * 24 * HOUR

/** The router's keys and certificates, as they were read last: files that cannot be used do not replace ones that could. */
export class RouterTls {
  readonly settings: TlsSettings
  readonly #read: ReadText
  /** Absent: clients are told that there is no TLS. */
  readonly acceptor: TlsAcceptor | undefined
  readonly #warn: (server: string, reason: string) => void
  readonly #failures = new Map<string, string>()
  #forServers: ServerTls | undefined
  #endings: readonly Ending[] = []

  /** `warn` hears of every server that TLS fails with, and of another reason there. Throws `TLS_FILE_UNUSABLE`. */
  constructor(
    settings: TlsSettings = NO_TLS,
    read: ReadText = () => '',
    warn: (server: string, reason: string) => void = () => {},
  ) {
    this.settings = settings
    this.#read = read
    this.#warn = warn
    const { client } = settings
    const loaded = this.#load()
    this.#take(loaded)
    if (loaded.client) this.acceptor = new TlsAcceptor(loaded.client, { wantsCertificate: verifies(client) })
  }

  /** Whether clients that come without TLS are refused. */
  get isDemanded(): boolean {
    return demandsTls(this.settings.client)
  }

  /** Absent: server connections are opened without TLS. */
  get forServers(): ServerTls | undefined {
    return this.#forServers
  }

  /** Reads all files again, for the connections that begin from now on; what is wrong with them, if anything. */
  reload(): string | undefined {
    try {
      const loaded = this.#load()
      if (loaded.client) this.acceptor?.replace(loaded.client)
      this.#take(loaded)
      return undefined
    } catch (error) {
      return messageOf(error)
    }
  }

  /** Certificates of our own that have ended or end within 30 days of `now`, on the wall clock. */
  endingSoon(now: number): readonly Ending[] {
    return this.#endings.filter(({ validUntil }) => validUntil - now < WARN_BEFORE_MS)
  }

  #load(): Loaded {
    const { client, server } = this.settings
    const ofClient = this.#textsOf(client, 'client_tls')
    const ofServer = this.#textsOf(server, 'server_tls')
    const check = server.mode === 'verify-full' ? 'host' : verifies(server) ? 'authority' : 'nothing'
    return {
      client: ofClient.texts,
      server: ofServer.texts && {
        client: tlsClient(ofServer.texts, check),
        isDemanded: demandsTls(server),
        noteFailure: (name, reason) => this.#noteFailure(name, reason),
      },
      endings: [...ofClient.endings, ...ofServer.endings],
    }
  }

  #noteFailure(server: string, reason: string): void {
    if (this.#failures.get(server) === reason) return
    if (this.#failures.size >= SERVERS_MAX) this.#failures.clear()
    this.#failures.set(server, reason)
    this.#warn(server, reason)
  }

  #take({ server, endings }: Loaded): void {
    this.#failures.clear()
    this.#forServers = server
    this.#endings = endings
  }

  #textsOf(side: TlsSide, name: string): { texts?: TlsTexts; endings: readonly Ending[] } {
    if (side.mode === 'disable') return { endings: [] }
    const { certFile, keyFile, caFile, minVersion, maxVersion, ciphers } = side
    const cert = this.#textOf(certFile, `${name}_cert_file`)
    const key = this.#textOf(keyFile, `${name}_key_file`)
    const ca = this.#textOf(caFile, `${name}_ca_file`)
    try {
      if (ca !== undefined) checkAuthority(ca)
      const isPair = cert !== undefined && key !== undefined
      const endings = isPair ? [{ file: certFile ?? '', ...checkCertificate(cert, key) }] : []
      const texts = { cert, key, ca, minVersion, maxVersion, ciphers }
      // Whatever else is wrong with them, the ciphers included, shows here.
      tlsClient(texts, 'nothing')
      return { texts, endings }
    } catch (error) {
      const files = [certFile, keyFile, caFile].filter((file) => file !== undefined).join(', ')
      throw unusable(`Cannot use ${name}_* (${files}): ${messageOf(error)}`, error)
    }
  }

  #textOf(path: string | undefined, name: string): string | undefined {
    if (path === undefined) return undefined
    try {
      return this.#read(path)
    } catch (error) {
      throw unusable(`Cannot read ${name}: ${messageOf(error)}`, error)
    }
  }
}

type Loaded = {
  readonly client: TlsTexts | undefined
  readonly server: ServerTls | undefined
  readonly endings: readonly Ending[]
}

function unusable(message: string, cause: unknown): Fault {
  return new Fault('TLS_FILE_UNUSABLE', message, { cause })
}
