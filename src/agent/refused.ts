import type { Refused } from '../api/ports.ts'

/** An operator's order that was not begun. */
export function refused<Reason extends string>(
  reason: Reason,
  message: string,
  remedy?: string,
): Refused<Reason> {
  return { kind: 'refused', reason, message, ...(remedy === undefined ? {} : { remedy }) }
}
