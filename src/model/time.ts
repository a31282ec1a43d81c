import type { Brand } from '../std/brand.ts'

/**
 * Milliseconds of this host's monotonic clock (CLOCK_MONOTONIC): the same for all processes of one host and one boot,
 * meaningless on any other host. The only clock that a lease may be judged by.
 */
export type MonotonicMs = Brand<number, 'MonotonicMs'>

export function plus(time: MonotonicMs, ms: number): MonotonicMs {
  return (time + ms) as MonotonicMs
}
