import type { InstanceFacts, InstanceState } from '../../model/member.ts'

/** Patroni's names for the life of PostgreSQL. */
const STATES: Readonly<Record<InstanceState, string>> = {
  absent: 'stopped',
  initialising: 'initializing new cluster',
  cloning: 'creating replica',
  rewinding: 'creating replica',
  stopped: 'stopped',
  starting: 'starting',
  running: 'running',
  stopping: 'stopping',
  crashed: 'crashed',
  unknown: 'unknown',
}

/** The values of Patroni's metric `patroni_postgres_state`, in its order; unknown is -1. */
export const STATE_NUMBERS: readonly string[] = [
  'initializing new cluster',
  'initdb failed',
  'running custom bootstrap script',
  'custom bootstrap failed',
  'creating replica',
  'running',
  'starting',
  'starting after custom bootstrap',
  'start failed',
  'restarting',
  'restart failed',
  'stopping',
  'stopped',
  'stop failed',
  'crashed',
]

export function patroniState(state: InstanceState): string {
  return STATES[state]
}

/** A member without data is `uninitialized`; one that is down and has data counts as a replica. */
export function patroniRole(instance: InstanceFacts): 'primary' | 'replica' | 'uninitialized' {
  if (instance.role !== undefined) return instance.role === 'primary' ? 'primary' : 'replica'
  const empty = ['absent', 'initialising', 'cloning', 'rewinding'].includes(instance.state)
  return empty ? 'uninitialized' : 'replica'
}

/** `2026-05-04 03:02:01.123000+00:00` from RFC 3339; `undefined` when it is not a time. */
export function patroniTimestamp(text: string): string | undefined {
  const time = new Date(text)
  if (Number.isNaN(time.getTime())) return undefined
  return time.toISOString().replace('T', ' ').replace(/Z$/, '000+00:00')
}

/** `40104` for `4.1.4`: two digits for each part. */
export function patroniVersionNumber(version: string): number {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map((part) => Number.parseInt(part, 10) || 0)
  return major * 10_000 + minor * 100 + patch
}
