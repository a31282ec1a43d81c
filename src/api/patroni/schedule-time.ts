import type { ScheduledRestart } from '../../model/schedule.ts'
import type { Sentence } from './sentence.ts'

/** `2030-05-04T03:02`, with a blank for the T, with or without seconds and fractions, and a zone in whatever ISO form. */
const TIME = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?(\.\d{1,9})?\s*(Z|[+-]\d\d(?::?\d\d)?)?$/i

/** When an order shall be given, as it is kept; or what Patroni says of a time that it cannot take. */
export function scheduleTime(
  text: unknown,
  about: { readonly action: 'switchover' | 'restart'; readonly now: number },
): { readonly at: string } | Sentence {
  const { action, now } = about
  const [matched, day, minute, second = ':00', fraction = '', zone] = TIME.exec(String(text).trim()) ?? []
  const at = `${day}T${minute}${second}${fraction}${isoZone(zone ?? 'Z')}`
  const time = Date.parse(at)
  if (matched === undefined || Number.isNaN(time)) return UNREADABLE
  if (zone === undefined)
    return { status: 400, text: `Timezone information is mandatory for the scheduled ${action}` }
  return time < now ? { status: 422, text: `Cannot schedule ${action} in the past` } : { at }
}

const UNREADABLE: Sentence = {
  status: 422,
  text: 'Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601',
}

/** `+02`, `+0200` and `Z` as `+02:00` and `+00:00`. */
function isoZone(zone: string): string {
  if (/^z$/i.test(zone)) return '+00:00'
  const digits = zone.slice(1).replace(':', '').padEnd(4, '0')
  return `${zone.charAt(0)}${digits.slice(0, 2)}:${digits.slice(2)}`
}

/** As Patroni shows it of a member. */
export function scheduledRestart({ at, role, onlyPending, version }: ScheduledRestart) {
  return {
    schedule: at,
    ...(role === undefined ? {} : { role: role === 'primary' ? ('primary' as const) : ('replica' as const) }),
    ...(onlyPending ? { restart_pending: true as const } : {}),
    ...(version === undefined
      ? {}
      : { postgres_version: `${Math.floor(version / 10_000)}.${version % 10_000}` }),
  }
}
