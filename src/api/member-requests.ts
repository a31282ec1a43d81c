import type { HoldRequest, InviteRequest, JoinRequest } from '#client'
import { visibleText } from '../std/visible-text.ts'
import { invalidBody } from './problem.ts'

const API_PORT_DEFAULT = 8008
/** As the config reads them: they become keys of the store and names of files. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/
const HOST = /^[A-Za-z0-9:]([A-Za-z0-9._:-]{0,252}[A-Za-z0-9])?$/
const WILDCARDS = new Set(['0.0.0.0', '::'])
const HEX = /^[0-9a-f]+$/

export function readMemberName(text: unknown): string {
  if (typeof text === 'string' && NAME.test(text)) return text
  throw invalidBody(
    `Cannot read the name ${shown(text)}: wanted 1 to 63 letters, digits, dots, hyphens and underscores`,
  )
}

const REASON_MAX = 200

/** The body may be empty. */
export function readHoldRequest(body: unknown): HoldRequest {
  const { reason } = readFields(body ?? {}, ['reason'])
  if (reason === undefined) return {}
  if (typeof reason !== 'string' || reason === '' || reason.length > REASON_MAX)
    throw invalidBody(`Cannot read "reason": wanted a text of 1 to ${REASON_MAX} characters`)
  return { reason }
}

export function readInviteRequest(body: unknown): Required<InviteRequest> {
  const fields = readFields(body, ['name', 'apiHost', 'apiPort'])
  const name = readMemberName(fields['name'])
  const { apiHost, apiPort = API_PORT_DEFAULT } = fields
  if (typeof apiHost !== 'string' || !HOST.test(apiHost) || WILDCARDS.has(apiHost)) {
    throw invalidBody(
      `Cannot read "apiHost" ${shown(apiHost)}: wanted the address at which the others reach ${name}`,
    )
  }
  if (typeof apiPort !== 'number' || !Number.isInteger(apiPort) || apiPort < 1 || apiPort > 65_535) {
    throw invalidBody(`Cannot read "apiPort" ${shown(apiPort)}: wanted a port from 1 to 65535`)
  }
  return { name, apiHost, apiPort }
}

export function readJoinRequest(body: unknown): JoinRequest {
  const fields = readFields(body, ['invitation', 'nonce', 'incarnation', 'proof'])
  return {
    invitation: readHex(fields, 'invitation', 16),
    nonce: readHex(fields, 'nonce', 32),
    incarnation: readHex(fields, 'incarnation', 32),
    proof: readHex(fields, 'proof', 64),
  }
}

/** An unknown field is refused: a misspelt one must not mean its default. */
function readFields(body: unknown, known: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw invalidBody('Cannot read the body: wanted a JSON object')
  }
  const unknown = Object.keys(body).find((key) => !known.includes(key))
  if (unknown !== undefined) {
    throw invalidBody(`Cannot read the body: unknown field ${shown(unknown)}, wanted ${known.join(', ')}`)
  }
  return body as Readonly<Record<string, unknown>>
}

function readHex(fields: Readonly<Record<string, unknown>>, name: string, digits: number): string {
  const value = fields[name]
  if (typeof value === 'string' && value.length === digits && HEX.test(value)) return value
  throw invalidBody(`Cannot read "${name}": wanted ${digits} hex digits`)
}

function shown(value: unknown): string {
  return value === undefined ? '(absent)' : visibleText(JSON.stringify(value), 60)
}
