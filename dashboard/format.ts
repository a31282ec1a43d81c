/** Numbers as people read them: short, and never more exact than they are. */

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const

/** In the units of PostgreSQL, where a kB has 1024 bytes. */
export function bytes(count: number): string {
  let value = count
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${digits(value)} ${UNITS[unit]}`
}

export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${digits(ms / 1000)} s`
  const minutes = Math.round(ms / 60_000)
  if (minutes < 60) return `${minutes} min`
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
  return `${Math.floor(minutes / (24 * 60))} d`
}

/** Three digits at most, and no zeros behind the point. */
export function digits(value: number): string {
  if (value >= 100 || Number.isInteger(value)) return grouped(Math.round(value))
  return String(Number(value.toPrecision(value >= 10 ? 3 : 2)))
}

function grouped(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, '\u202f')
}

export function plural(count: number, one: string, many: string = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}

/** `14:03:21`, on the reader's own clock. */
export function clock(wallMs: number): string {
  const at = new Date(wallMs)
  return [at.getHours(), at.getMinutes(), at.getSeconds()]
    .map((part) => String(part).padStart(2, '0'))
    .join(':')
}

/** With the day, where it is not today. */
export function moment(wallMs: number, now: number): string {
  const at = new Date(wallMs)
  if (at.toDateString() === new Date(now).toDateString()) return clock(wallMs)
  const day = [at.getFullYear(), at.getMonth() + 1, at.getDate()]
    .map((part) => String(part).padStart(2, '0'))
    .join('-')
  return `${day} ${clock(wallMs)}`
}

/** `180004` as `18.4`. */
export function serverVersion(number: number): string {
  return `${Math.floor(number / 10_000)}.${number % 10_000}`
}

/** `n1`, `n1 and n2`, `n1, n2 and n3`. */
export function listed(names: readonly string[]): string {
  if (names.length < 2) return names.join('')
  return `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
}
