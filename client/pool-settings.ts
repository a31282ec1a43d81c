import { ClientError } from './client-error.ts'

const API_PORT_DEFAULT = 8008
const MIN_DEFAULT = 2
const MAX_DEFAULT = 20
const HEALTH_CHECK_S_DEFAULT = 30

/** Where a cluster is found, as whom, and how many connections are held. */
export type PoolSettings = {
  /** APIs of the members; one that answers is enough to find the others. */
  readonly apis: readonly string[]
  readonly database: string
  readonly user: string
  readonly password: string
  /** Connections to each server: kept, and at most. */
  readonly minConnections: number
  readonly maxConnections: number
  readonly healthCheckIntervalMs: number
}

type Env = Readonly<Record<string, string | undefined>>

/**
 * What an application that was made for Patroni has in its environment: `PATRONI_HOSTS` (names with commas, each with or without a port
 * of the API), `PATRONI_PORT`, `PATRONI_DB`, `PATRONI_USER`, `PATRONI_PASSWORD`, `PATRONI_MIN_CONNECTIONS`, `PATRONI_MAX_CONNECTIONS` and
 * `PATRONI_HEALTH_CHECK_INTERVAL` (seconds). Throws a `ClientError` that names what is missing or wrong.
 */
export function poolSettings(env: Env): PoolSettings {
  const number = (name: string, fallback: number, least = 1) =>
    wholeNumber(env[name], { name, fallback, least })
  const port = number('PATRONI_PORT', API_PORT_DEFAULT)
  const hosts = (env['PATRONI_HOSTS'] ?? '')
    .split(',')
    .map((host) => host.trim())
    .filter((host) => host !== '')
  if (hosts.length === 0) refuse('PATRONI_HOSTS is not set: wanted the names of the members, with commas')
  const minConnections = number('PATRONI_MIN_CONNECTIONS', MIN_DEFAULT, 0)
  const maxConnections = number('PATRONI_MAX_CONNECTIONS', MAX_DEFAULT)
  if (minConnections > maxConnections)
    refuse(
      `PATRONI_MIN_CONNECTIONS is ${minConnections}, more than the ${maxConnections} of PATRONI_MAX_CONNECTIONS`,
    )
  return {
    apis: hosts.map((host) => apiOf(host, port)),
    database: env['PATRONI_DB'] || 'postgres',
    user: env['PATRONI_USER'] || 'postgres',
    password: env['PATRONI_PASSWORD'] ?? '',
    minConnections,
    maxConnections,
    healthCheckIntervalMs: 1000 * number('PATRONI_HEALTH_CHECK_INTERVAL', HEALTH_CHECK_S_DEFAULT),
  }
}

function apiOf(host: string, port: number): string {
  const url = /^https?:\/\//.test(host) ? host : `http://${/^[^[].*:.*:/.test(host) ? `[${host}]` : host}`
  if (!URL.canParse(url)) return refuse(`PATRONI_HOSTS has "${host}", which is no name of a host`)
  const base = url.replace(/\/$/, '')
  return /:\d+$/.test(base) ? base : `${base}:${port}`
}

function wholeNumber(
  text: string | undefined,
  { name, fallback, least }: { name: string; fallback: number; least: number },
): number {
  if (text === undefined || text === '') return fallback
  if (/^\d+$/.test(text) && Number(text) >= least) return Number(text)
  return refuse(`${name} is "${text}": wanted a whole number from ${least} on`)
}

function refuse(message: string): never {
  throw new ClientError('refused', `Cannot use the environment: ${message}`, { code: 'SETTINGS_INVALID' })
}
