import type { SwitchoverRequest } from '../snapshot.ts'

const UNREADABLE: Readonly<Record<string, unknown>> = {}

/** A switchover that somebody asked for, in Patroni's words. */
export function requestOf(text: string, revision: number): SwitchoverRequest {
  const value = parsed(text)
  const { leader, member } = value as { leader?: string; member?: string }
  return {
    revision,
    ...(value === UNREADABLE ? { isUnreadable: true } : {}),
    ...(leader === undefined ? {} : { from: leader }),
    ...(member === undefined ? {} : { to: member }),
  }
}

/** Other tools write into the store too: what is no object of JSON must not stop the loop. */
export function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : UNREADABLE
  } catch {
    return UNREADABLE
  }
}
