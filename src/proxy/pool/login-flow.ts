import type { StoredSecret } from '../../auth/stored-secret.ts'
import type { PoolAuthType } from '../../model/pool-settings.ts'
import type { Socket } from '../../platform/net.ts'
import { peerName } from '../../platform/tls.ts'
import { after } from '../../platform/timers.ts'
import { buildAuthentication } from '../../wire/authentication.ts'
import { buildErrorResponse, buildFatalResponse, type ErrorFields } from '../../wire/error-response.ts'
import { buildParameterStatus, buildReady } from '../../wire/session-state.ts'
import { buildBackendKey, buildNegotiation, parseStartup, type CancelKey } from '../../wire/startup.ts'
import { closeResponse, type CloseReason } from '../close-reason.ts'
import { endClient } from '../frontend/end-client.ts'
import type { PortCounters } from '../port-counters.ts'
import { askForProof, basisOf, type ProofOutcome } from './client-proof.ts'
import type { StatementError } from './lost-transaction.ts'
import type { Pool, PoolIdentity, WelcomeWaiter } from './pool.ts'
import { databaseEntry, type PoolOptions } from './pool-options.ts'
import type { FindSecret, LookupOutcome } from './secret-lookup.ts'
import type { ServerSecret } from '../backend/server-proof.ts'
import { asConfigured } from './startup-packet.ts'
import {
  asReported,
  isTracked,
  SessionSettings,
  sortStartup,
  type StartupParameters,
} from './tracked-settings.ts'
import type { UserSecrets } from './user-secrets.ts'

/** A client's first words on the pooled port. */
export type Newcomer = {
  readonly socket: Socket
  /** Its StartupMessage as it came, and what it sent behind it. */
  readonly packet: Buffer
  readonly rest: Buffer
  readonly counters: PortCounters
}

/** What a login needs from the pooler around it. */
export interface LoginPlace {
  readonly options: PoolOptions
  readonly secrets: UserSecrets
  readonly holdTimeoutMs: number
  /** Absent: nobody is asked. */
  findSecret: FindSecret | undefined
  poolFor(identity: PoolIdentity): Pool
  newKey(isLong: boolean): CancelKey
  /** PostgreSQL is to ask this client itself: it gets a session of its own. */
  passThrough(flow: LoginFlow, sent: Pick<Newcomer, 'packet' | 'rest'>): void
  admitted(flow: LoginFlow, admission: Admission): void
  /** The client wants the console. */
  console(flow: LoginFlow, login: ConsoleLogin): void
  /** Why this client may not log in to its database now; the answer may come later. */
  checkLimits(flow: LoginFlow, answer: (refusal: StatementError | undefined) => void): void
  loginEnded(flow: LoginFlow, reason: CloseReason | 'REFUSED'): void
  lookupFailed(user: string, reason: string): void
}

export type Admission = {
  readonly pool: Pool
  readonly settings: SessionSettings
  readonly key: CancelKey
  readonly welcome: Buffer
  readonly rest: Buffer
}

export type ConsoleLogin = { readonly user: string; readonly key: CancelKey; readonly rest: Buffer }

/** These want a proof of a password. */
const ASKS: ReadonlySet<PoolAuthType> = new Set(['md5', 'scram-sha-256'])
/** The virtual database of the console; a real one of this name cannot be reached here, as with PgBouncer. */
const CONSOLE_DATABASE = 'pgbouncer'
/** The newest minor of protocol 3 that is spoken here. */
const MINOR_MAX = 2

/** From a client's startup message to its place among the pooled clients, to the console, or to its refusal. */
export class LoginFlow implements WelcomeWaiter {
  readonly newcomer: Newcomer
  readonly #place: LoginPlace
  readonly #parameters: StartupParameters
  readonly #minor: number
  readonly #user: string
  readonly #database: string
  readonly #isReplication: boolean
  #rest: Buffer
  #cancel: () => void = () => {}
  #stopTimer: () => void = () => {}
  #pool: Pool | undefined
  #over = false

  constructor(newcomer: Newcomer, place: LoginPlace) {
    this.newcomer = newcomer
    this.#place = place
    this.#rest = newcomer.rest
    const startup = parseStartup(newcomer.packet)
    const parameters = startup.kind === 'startup' ? startup.parameters : new Map<string, string>()
    this.#minor = startup.kind === 'startup' ? startup.minor : 0
    this.#user = parameters.get('user') ?? ''
    this.#database = parameters.get('database') ?? this.#user
    const replication = parameters.get('replication') ?? 'off'
    this.#isReplication = !/^(?:off|false|no|0|f|n)$/i.test(replication)
    this.#parameters = sortStartup(parameters, place.options.ignoreStartupParameters)
  }

  get user(): string {
    return this.#user
  }

  get database(): string {
    return this.#database
  }

  /** It has proved who it is, and will be a client. */
  get isAccepted(): boolean {
    return this.#pool !== undefined
  }

  begin(): void {
    const { options, secrets, findSecret } = this.#place
    const { type } = options.auth
    if (this.#user === '')
      return this.refuse({ sqlState: '28000', message: 'No user name in the startup packet' })
    if (this.#isReplication || type === 'server') return this.#passThrough()
    this.#limit(options.clientLoginTimeoutMs, () => this.#end('STARTUP_TIMEOUT'))
    const known = secrets.find(this.#user)
    if (type === 'cert' && peerName(this.newcomer.socket) !== this.#user) return this.#refuseCertificate()
    if (type === 'trust' && !known && options.auth.file !== undefined) {
      // As with PgBouncer: nobody proves anything, but a list says who may come; a database may have a user of its own.
      return this.refuse({ sqlState: '28000', message: `no such user: ${this.#user}` })
    }
    if (!ASKS.has(type)) return this.#accepted(secretOf(known))
    if (known) return this.#prove(known)
    if (!findSecret) return this.#passThrough()
    this.#limit(this.#patienceMs(), () => this.#giveUp())
    this.#listen()
    findSecret(this.#user, (outcome) => this.#found(outcome))
  }

  welcomed(parameters: ReadonlyMap<string, string>): void {
    const pool = this.#pool
    if (!pool || !this.#leave()) return
    const settings = new SessionSettings()
    const pieces = [buildAuthentication({ kind: 'ok' })]
    for (const [name, reported] of parameters) {
      const wished = this.#wishFor(name)
      const value = wished === undefined ? reported : asReported(name, wished, reported)
      if (isTracked(name)) settings.set(name, value)
      pieces.push(buildParameterStatus(name, value))
    }
    const key = this.#place.newKey(this.#minor >= MINOR_MAX)
    pieces.push(buildBackendKey(key), buildReady('I'))
    this.#place.admitted(this, { pool, settings, key, welcome: Buffer.concat(pieces), rest: this.#rest })
  }

  #wishFor(name: string): string | undefined {
    const wished = this.#parameters.tracked.get(name)
    if (name !== 'application_name' || !this.#place.options.applicationNameAddHost) return wished
    const { remoteAddress = '', remotePort = 0 } = this.newcomer.socket
    return `${wished ?? 'app'} - ${remoteAddress}:${remotePort}`
  }

  refuse(error: StatementError): void {
    this.#end('REFUSED', buildFatalResponse(error))
  }

  refuseWith(fields: ErrorFields): void {
    this.#end('REFUSED', buildErrorResponse({ ...fields, S: 'FATAL', V: 'FATAL' }))
  }

  close(reason: CloseReason): void {
    this.#end(reason, closeResponse(reason))
  }

  #found(outcome: LookupOutcome): void {
    if (this.#over) return
    if (outcome.kind === 'failed') this.#place.lookupFailed(this.#user, outcome.reason)
    // Order: PostgreSQL refuses whom it does not know, in its own words; it may also know ways that need no secret.
    if (outcome.kind !== 'found' || outcome.secret === null) return this.#passThrough()
    this.#unlisten()
    this.#limit(this.#place.options.clientLoginTimeoutMs, () => this.#end('STARTUP_TIMEOUT'))
    const stored = this.#place.secrets.parse(outcome.secret)
    this.#prove(stored)
  }

  #prove(stored: StoredSecret): void {
    const basis = basisOf(stored, this.#place.secrets)
    if (!basis || (basis.kind === 'md5' && this.#place.options.auth.type === 'scram-sha-256')) {
      return this.#refusePassword()
    }
    this.#negotiate()
    const { socket } = this.newcomer
    this.#cancel = askForProof(socket, { basis, early: this.#rest }, (outcome) => this.#proved(outcome))
  }

  #proved(outcome: ProofOutcome): void {
    this.#cancel = () => {}
    switch (outcome.kind) {
      case 'left':
        return this.#end('CLIENT_LEFT')
      case 'failed':
        return this.#refusePassword()
      case 'proved':
        this.#rest = outcome.rest
        this.#accepted(outcome.secret)
    }
  }

  #accepted(secret: ServerSecret): void {
    if (!ASKS.has(this.#place.options.auth.type)) this.#negotiate()
    if (this.#database === CONSOLE_DATABASE) {
      if (!this.#leave()) return
      const key = this.#place.newKey(this.#minor >= MINOR_MAX)
      return this.#place.console(this, { user: this.#user, key, rest: this.#rest })
    }
    this.#ifWelcome(() => this.#joinPool(secret))
  }

  #joinPool(secret: ServerSecret): void {
    const forced = this.#forcedUser()
    const user = forced?.name ?? this.#user
    const pool = this.#place.poolFor({ database: this.#database, user, fixed: this.#parameters.fixed })
    const login = forced?.secret ?? secret
    if (!pool.isPinned && (login.kind !== 'none' || pool.secret.kind === 'none')) pool.secret = login
    this.#pool = pool
    this.#limit(this.#patienceMs(), () => this.#giveUp())
    this.#listen()
    pool.awaitWelcome(this)
  }

  /** What the client asked for beyond the protocol that is spoken here. */
  #negotiate(): void {
    const { protocolOptions } = this.#parameters
    if (this.#minor <= MINOR_MAX && protocolOptions.length === 0) return
    this.newcomer.socket.write(buildNegotiation(Math.min(this.#minor, MINOR_MAX), protocolOptions))
  }

  /** Who logs in at PostgreSQL for all clients of the database, if it is not each for itself. */
  #forcedUser(): { readonly name: string; readonly secret: ServerSecret } | undefined {
    const { options, secrets } = this.#place
    const { user: name, password } = databaseEntry(options, this.#database) ?? {}
    if (name === undefined) return undefined
    return {
      name,
      secret: secretOf(password === undefined ? secrets.find(name) : { kind: 'plain', password }),
    }
  }

  #passThrough(): void {
    // Order: as itself nobody gets to a database that everybody reaches as another.
    if (this.#database === CONSOLE_DATABASE || this.#forcedUser()) return this.#refusePassword()
    this.#ifWelcome(() => {
      const packet = asConfigured(this.newcomer.packet, this.#place.options)
      if (!packet)
        return this.refuse({
          sqlState: '08P01',
          message: 'the startup packet is too long with its new database',
        })
      if (this.#leave()) this.#place.passThrough(this, { packet, rest: this.#rest })
    })
  }

  /** Goes on where the limits allow one more client; who counts them may be another process. */
  #ifWelcome(then: () => void): void {
    let isAnswered = false
    let isListening = false
    this.#place.checkLimits(this, (refusal) => {
      isAnswered = true
      if (this.#over) return
      if (isListening) this.#unlisten()
      if (refusal) this.refuse(refusal)
      else then()
    })
    if (isAnswered) return
    isListening = true
    this.#listen()
  }

  #refusePassword(): void {
    this.refuse({ sqlState: '28P01', message: `password authentication failed for user "${this.#user}"` })
  }

  #refuseCertificate(): void {
    const message = `certificate authentication failed for user "${this.#user}"`
    this.refuse({ sqlState: '28000', message })
  }

  /** For a primary as long as on the other ports; in any case as long as connecting to it may take. */
  #patienceMs(): number {
    return Math.max(this.#place.holdTimeoutMs, this.#place.options.serverConnectTimeoutMs)
  }

  #giveUp(): void {
    const waited = `Waited ${this.#patienceMs()} ms`
    this.#end(
      'HOLD_TIMEOUT',
      closeResponse('HOLD_TIMEOUT', { detail: `${waited} for a connection to PostgreSQL` }),
    )
  }

  #listen(): void {
    const { socket } = this.newcomer
    this.#unlisten()
    socket.on('data', this.#onData)
    socket.on('end', this.#onLeft)
    socket.on('close', this.#onLeft)
    socket.resume()
  }

  #unlisten(): void {
    const { socket } = this.newcomer
    socket.off('data', this.#onData)
    socket.off('end', this.#onLeft)
    socket.off('close', this.#onLeft)
    socket.pause()
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    if (this.#rest.length > EARLY_BYTES_MAX) this.newcomer.socket.pause()
  }

  readonly #onLeft = (): void => {
    this.#end('CLIENT_LEFT')
  }

  #limit(ms: number, then: () => void): void {
    this.#stopTimer()
    this.#stopTimer = ms > 0 ? after(ms, then) : () => {}
  }

  #end(reason: CloseReason | 'REFUSED', response?: Buffer): void {
    if (!this.#leave()) return
    if (response) this.newcomer.counters.errors += 1
    endClient(this.newcomer.socket, response)
    this.#place.loginEnded(this, reason)
  }

  /** False when it was over already. */
  #leave(): boolean {
    if (this.#over) return false
    this.#over = true
    this.#stopTimer()
    this.#cancel()
    this.#unlisten()
    this.#pool?.stopAwaiting(this)
    return true
  }
}

/** What a client may send ahead while it waits for its welcome. */
const EARLY_BYTES_MAX = 64 * 1024

/** What logs in at PostgreSQL, where nobody proves anything to us. */
export function secretOf(stored: StoredSecret | undefined): ServerSecret {
  if (stored?.kind === 'plain') return { kind: 'password', password: stored.password }
  return stored?.kind === 'md5' ? stored : { kind: 'none' }
}
