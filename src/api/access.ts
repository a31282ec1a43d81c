import type { FastifyRequest } from 'fastify'
import { AddressList } from '../platform/address-list.ts'
import { secretsEqual } from '../platform/hash.ts'
import { assert } from '../std/assert.ts'
import { RequestRefused } from './problem.ts'

/** The secrets that open the API. Neither may be empty. */
export type AccessTokens = {
  /** Opens everything. */
  readonly token: string
  /** Opens the routing table only: other nodes' routers have it. */
  readonly routingToken: string
}

/** Methods that change nothing (RFC 9110 §9.2.1). TRACE is not among them: it echoes headers. */
export const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/** From where changes are taken, and what has to be shown beside the token. */
export type AccessRules = {
  /** Absent: from everywhere. */
  readonly allowlist?: {
    /** Addresses, networks and host names. */
    readonly entries: readonly string[]
    /** Where the members are, when their addresses count too. */
    readonly members: () => readonly string[]
  }
  /** Only those who showed a certificate that was found sound. */
  readonly needsCertificate: boolean
}

export type Access = {
  /** Throws unless the request comes from where changes are taken from. */
  requireAddress(request: FastifyRequest): Promise<void>
  /** Throws unless the sender showed a certificate, where one is asked for. */
  requireCertificate(request: FastifyRequest): void
  /** Throws unless the request carries the API token. */
  requireToken(request: FastifyRequest): void
  /** Throws unless the request carries the API token or the routing token. */
  requireRouting(request: FastifyRequest): void
}

/**
 * Who may do what (G9). Credentials are `Authorization: Bearer TOKEN`, or Basic with the token as password and any
 * user name, which is what tools made for Patroni send.
 */
export function createAccess(tokens: AccessTokens, rules: AccessRules): Access {
  // An empty secret would equal an empty password.
  assert(tokens.token.length > 0 && tokens.routingToken.length > 0, 'API tokens must not be empty')
  const addresses = new AddressList()
  return {
    requireAddress: async ({ ip }) => {
      const { allowlist } = rules
      if (!allowlist) return
      if (!(await addresses.has(ip, [...allowlist.entries, ...allowlist.members()]))) throw deniedAddress(ip)
    },
    requireCertificate: (request) => {
      if (rules.needsCertificate && !hasSoundCertificate(request)) throw withoutCertificate()
    },
    requireToken: (request) => {
      refuseCrossOrigin(request)
      const given = credential(request.headers.authorization)
      if (given === undefined || !secretsEqual(given, tokens.token))
        throw unauthenticated(given !== undefined)
    },
    requireRouting: (request) => {
      const given = credential(request.headers.authorization)
      const known =
        given !== undefined && (secretsEqual(given, tokens.token) || secretsEqual(given, tokens.routingToken))
      if (!known) throw unauthenticated(given !== undefined)
    },
  }
}

/** The secret in an Authorization header, whatever its scheme; `undefined` when there is none that we can read. */
function credential(header: string | undefined): string | undefined {
  const match = header === undefined ? null : /^(bearer|basic) +([^\s]+) *$/i.exec(header)
  const value = match?.[2]
  if (value === undefined) return undefined
  if (match?.[1]?.toLowerCase() === 'bearer') return value
  const decoded = Buffer.from(value, 'base64').toString('utf8')
  const colon = decoded.indexOf(':')
  return colon < 0 ? undefined : decoded.slice(colon + 1)
}

function unauthenticated(wasGiven: boolean): RequestRefused {
  return new RequestRefused({
    status: 401,
    code: 'API_UNAUTHENTICATED',
    detail: wasGiven
      ? 'Cannot do this: the token is not the one of this node'
      : 'Cannot do this without a token',
    remedy:
      'Send "Authorization: Bearer TOKEN"; the token is security.api_token, else in the file "token" of the state folder',
  })
}

function hasSoundCertificate({ socket }: FastifyRequest): boolean {
  return 'authorized' in socket && socket.authorized === true
}

function deniedAddress(address: string): RequestRefused {
  return new RequestRefused({
    status: 403,
    code: 'API_ADDRESS_DENIED',
    detail: `Access is denied: changes are not taken from ${address}`,
    remedy: 'Ask from another host, or add the address to security.allowlist',
  })
}

function withoutCertificate(): RequestRefused {
  return new RequestRefused({
    status: 403,
    code: 'API_CERTIFICATE_REQUIRED',
    detail: 'client certificate required',
    remedy: 'Show one that security.ca_file of this node signed (ctl.cert_file and ctl.key_file)',
  })
}

/** A browser remembers Basic credentials and would send them along from any page: only our own pages may ask. */
function refuseCrossOrigin(request: FastifyRequest): void {
  const { origin, host } = request.headers
  const site = request.headers['sec-fetch-site']
  const foreignSite = site === 'cross-site' || site === 'same-site'
  if (!foreignSite && (origin === undefined || hostOf(origin) === host?.toLowerCase())) return
  throw new RequestRefused({
    status: 403,
    code: 'API_CROSS_ORIGIN',
    detail: 'Cannot take a change from a page of another origin',
  })
}

function hostOf(origin: string): string | undefined {
  try {
    return new URL(origin).host
  } catch {
    return undefined
  }
}
