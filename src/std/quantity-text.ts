import { GiB, KiB, MiB, MINUTE, SECOND } from './units.ts'

/** A size in the largest unit that leaves a number above one. */
export function bytes(count: number): string {
  if (count < KiB) return `${count} B`
  if (count < MiB) return `${Math.round(count / KiB)} kB`
  if (count < GiB) return `${Math.round(count / MiB)} MB`
  return `${(count / GiB).toFixed(1)} GB`
}

/** A time span for people who compare it with a limit: `40 ms`, `2.4 s`, `12 min`. */
export function timeSpan(ms: number): string {
  if (ms < SECOND) return `${Math.round(ms)} ms`
  if (ms < MINUTE) return `${(ms / SECOND).toFixed(1)} s`
  return `${Math.round(ms / MINUTE)} min`
}

/** `n1`, `n1 and n2`, `n1, n2 and n3`. */
export function enumerated(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
}
