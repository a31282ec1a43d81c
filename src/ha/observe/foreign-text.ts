import type { ConfirmedDown, SwitchoverRequest } from '../snapshot.ts'

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

/** `undefined` for what says nothing of the kind: then nobody was confirmed to be down. */
export function confirmedDownOf(text: string): ConfirmedDown | undefined {
  const { epoch, seq } = parsed(text)
  return typeof epoch === 'number' && typeof seq === 'number' ? { epoch, seq } : undefined
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
