import { HttpFailure, type HttpConnections } from '../../platform/http-connections.ts'
import { messageOf } from '../../std/fault.ts'
import { MiB } from '../../std/units.ts'
import type { Endpoint } from './endpoints.ts'
import { readToken } from './messages.ts'
import { refusalOf, type Refusal } from './refusal.ts'

export type Credentials = { readonly user: string; readonly password: string }

/** An endpoint answered, and the answer is a refusal. */
export class GatewayRefusal extends Error {
  override readonly name = 'GatewayRefusal'
  readonly kind: Refusal['kind']

  constructor(url: string, { kind, message }: Refusal) {
    super(`${url} refuses: ${message}`)
    this.kind = kind
  }
}

/** Of one answer: the whole tree as base64 with room for what other tools write there. */
const ANSWER_MAX_BYTES = 16 * MiB

/** Calls of one endpoint of the gateway: with the token, and with the wish to be refused where there is no leader. */
export class Gateway {
  readonly #http: HttpConnections
  readonly #credentials: Credentials | undefined
  /** `undefined` while there is none; the empty text when the cluster wants none. */
  #token: string | undefined
  #authenticating: Promise<void> | undefined

  constructor(http: HttpConnections, credentials: Credentials | undefined) {
    this.#http = http
    this.#credentials = credentials
  }

  /** The body of a good answer. Rejects with `GatewayRefusal` or `HttpFailure`. */
  async call(
    endpoint: Endpoint,
    about: { path: string; body: string },
    signal: AbortSignal,
  ): Promise<string> {
    const token = await this.#tokenFor(endpoint, signal)
    const answer = await this.#http.exchange(
      { url: endpoint.url + about.path, headers: headersWith(token), body: about.body },
      { signal, maxBytes: ANSWER_MAX_BYTES },
    )
    if (answer.status === 200) return answer.body
    throw this.#refused(endpoint, { token, ...answer })
  }

  /** An answer that goes on. Rejects only where no request could be made; everything else comes through `onEnd`. */
  async stream(
    endpoint: Endpoint,
    about: { path: string; body: string },
    options: {
      readonly signal: AbortSignal
      readonly onText: (text: string) => void
      readonly onEnd: (failure: HttpFailure) => void
    },
  ): Promise<void> {
    const token = await this.#tokenFor(endpoint, options.signal)
    this.#http.stream(
      { url: endpoint.url + about.path, headers: headersWith(token), body: about.body },
      options,
    )
  }

  /** The next call asks for a new token. */
  forgetToken(): void {
    this.#token = undefined
  }

  #refused(
    endpoint: Endpoint,
    answer: { readonly token: string | undefined; readonly status: number; readonly body: string },
  ): GatewayRefusal {
    const refusal = refusalOf(answer.status, answer.body)
    if (refusal.kind === 'token') {
      if (this.#credentials === undefined)
        return new GatewayRefusal(endpoint.url, { ...refusal, kind: 'denied' })
      // Another call may have got a new one meanwhile.
      if (this.#token === answer.token) this.#token = undefined
    }
    return new GatewayRefusal(endpoint.url, refusal)
  }

  /** Whatever went wrong with the token: the request that wants it was not sent. */
  async #tokenFor(endpoint: Endpoint, signal: AbortSignal): Promise<string | undefined> {
    try {
      return await this.#currentToken(endpoint, signal)
    } catch (error) {
      if (error instanceof GatewayRefusal) throw error
      throw new HttpFailure(messageOf(error), { wasSent: false, cause: error })
    }
  }

  async #currentToken(endpoint: Endpoint, signal: AbortSignal): Promise<string | undefined> {
    if (this.#credentials === undefined) return undefined
    while (this.#token === undefined) {
      // One at a time: each costs the cluster a commit and a password hash. Who waits for another's failure tries itself.
      if (this.#authenticating !== undefined) await this.#authenticating.catch(() => undefined)
      else {
        this.#authenticating = this.#authenticate(endpoint, this.#credentials, signal)
        try {
          await this.#authenticating
        } finally {
          this.#authenticating = undefined
        }
      }
      if (signal.aborted) throw signal.reason
    }
    return this.#token
  }

  async #authenticate(
    endpoint: Endpoint,
    { user, password }: Credentials,
    signal: AbortSignal,
  ): Promise<void> {
    const { status, body } = await this.#http.exchange(
      {
        url: `${endpoint.url}/v3/auth/authenticate`,
        headers: headersWith(undefined),
        body: JSON.stringify({ name: user, password }),
      },
      { signal, maxBytes: ANSWER_MAX_BYTES },
    )
    if (status === 200) this.#token = readToken(body)
    else if (body.includes('authentication is not enabled')) this.#token = ''
    else {
      const refusal = refusalOf(status, body)
      throw new GatewayRefusal(endpoint.url, {
        ...refusal,
        kind: refusal.kind === 'denied' ? 'denied' : 'elsewhere',
      })
    }
  }
}

function headersWith(token: string | undefined): Readonly<Record<string, string>> {
  return {
    'content-type': 'application/json',
    // The gateway hands this on as gRPC metadata: a member without a leader then refuses at once, and before it has done
    // anything; a watch there is ended.
    'grpc-metadata-hasleader': 'true',
    ...(token === undefined || token === '' ? {} : { authorization: token }),
  }
}
