import { GiB, HOUR, KiB, MILLISECOND, MINUTE, MiB, SECOND } from '../std/units.ts'

/** A value was understood, or the rule that it breaks and what to write instead. */
export type Reading<T> =
  | { readonly kind: 'value'; readonly value: T }
  | { readonly kind: 'wrong'; readonly rule: string; readonly remedy: string }

/** How one kind of value is read from its text, and shown again. The same for files and for the environment. */
export type ValueKind<T> = {
  /** Words for the reference, e.g. `port (1–65535)`. */
  readonly name: string
  readonly read: (text: string) => Reading<T>
  show(value: T): string
  /** A relative path starts at the file that it stands in. */
  readonly isPath?: true
}

const right = <T>(value: T): Reading<T> => ({ kind: 'value', value })
const wrong = (rule: string, remedy: string): Reading<never> => ({ kind: 'wrong', rule, remedy })

/** Any text that is not empty. */
export const text: ValueKind<string> = {
  name: 'text',
  read: (value) =>
    value.trim() === '' ? wrong('must not be empty', 'write a value, or remove the key') : right(value),
  show: (value) => value,
}

/** A word whose case means nothing. */
export const lowerCaseWord: ValueKind<string> = {
  name: 'word',
  read: (value) =>
    /^\S+$/.test(value)
      ? right(value.toLowerCase())
      : wrong('must be a single word', 'write a name without spaces'),
  show: (value) => value,
}

/** A secret: any text, also an empty one, kept exactly as it was written. */
export const secretText: ValueKind<string> = { name: 'text (secret)', read: right, show: () => '(set)' }

/** A file or folder; made absolute by the caller, who knows in which file it stands. */
export const path: ValueKind<string> = { ...text, name: 'path', isPath: true }

const NODE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/

/** A node's name: it becomes a key of the store, a file name and an application_name. */
export const nodeName: ValueKind<string> = {
  name: 'name',
  read: (value) =>
    NODE_NAME.test(value)
      ? right(value)
      : wrong(
          'a name has 1 to 63 letters, digits, dots, hyphens and underscores and starts with a letter or digit',
          'choose a name such as "node1"',
        ),
  show: (value) => value,
}

/** A role or database name of PostgreSQL. */
export const sqlName: ValueKind<string> = {
  name: 'PostgreSQL name',
  read: (value) =>
    value !== '' && !value.includes('\0') && new TextEncoder().encode(value).length <= 63
      ? right(value)
      : wrong('a name in PostgreSQL has 1 to 63 bytes', 'choose a shorter name'),
  show: (value) => value,
}

const HOST = /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/
const IPV6 = /^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%\w+)?$/

/** Host name, IPv4 or IPv6 address, without a port. */
export const host: ValueKind<string> = {
  name: 'host name or address',
  read: readHost,
  show: (value) => value,
}

function readHost(value: string): Reading<string> {
  const bare = value.startsWith('[') && value.endsWith(']') ? value.slice(1, -1) : value
  if (bare === '*') return right('0.0.0.0')
  if (/^[a-z]+:\/\//.test(bare)) {
    return wrong('must be a host name or address, not a URL', 'leave out the scheme and the path')
  }
  if (/^[^:]+:\d+$/.test(bare)) {
    return wrong('must be a host name or address without a port', 'move the port to its own key')
  }
  if (bare.length > 253) return wrong('a host name has at most 253 characters', 'use the address')
  if (/^[\d.]+$/.test(bare))
    return isIpv4(bare)
      ? right(bare)
      : wrong('is not a valid IPv4 address', 'write four numbers from 0 to 255, e.g. 10.77.0.1')
  if (HOST.test(bare) || IPV6.test(bare)) return right(bare)
  return wrong('must be a host name or an address', 'write for instance 10.77.0.1 or db1.example.net')
}

function isIpv4(value: string): boolean {
  const parts = value.split('.')
  return parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255)
}

/** As `host`, or a network: an address with the number of its bits that count. */
export const hostOrNetwork: ValueKind<string> = {
  name: 'host name, address or network',
  read: (value) => {
    const [address = '', bits, ...more] = value.split('/')
    if (bits === undefined) return readHost(value)
    const isV6 = IPV6.test(address)
    const isNetwork = (isV6 || isIpv4(address)) && /^\d{1,3}$/.test(bits) && Number(bits) <= (isV6 ? 128 : 32)
    return isNetwork && more.length === 0
      ? right(value)
      : wrong('is not a network', 'write an address and a number of bits, e.g. 10.0.0.0/8')
  },
  show: (value) => value,
}

/** As `host`, or the folder of a Unix socket. */
export const hostOrSocket: ValueKind<string> = {
  name: 'host name, address or socket folder',
  read: (value) => (value.startsWith('/') ? right(value) : readHost(value)),
  show: (value) => value,
}

/** A TCP port. */
export const port: ValueKind<number> = {
  name: 'port (1–65535)',
  read: (value) => {
    const number = Number(value)
    return /^\d+$/.test(value) && number >= 1 && number <= 65535
      ? right(number)
      : wrong('must be a port: a whole number from 1 to 65535', 'write for instance 5432')
  },
  show: String,
}

/** A whole number between two limits. */
export function wholeNumber(min: number, max: number): ValueKind<number> {
  return {
    name: `whole number (${min}–${max})`,
    read: (value) => {
      const number = Number(value)
      return /^-?\d+$/.test(value) && number >= min && number <= max
        ? right(number)
        : wrong(`must be a whole number from ${min} to ${max}`, 'write the number without a unit')
    },
    show: String,
  }
}

/** A number between two limits, with or without a fraction. */
export function fraction(min: number, max: number): ValueKind<number> {
  return {
    name: `number (${min}–${max})`,
    read: (value) => {
      const number = Number(value)
      return /^-?\d*\.?\d+$/.test(value) && number >= min && number <= max
        ? right(number)
        : wrong(`must be a number from ${min} to ${max}`, 'write for instance 0.8, with a point')
    },
    show: String,
  }
}

const YES = new Set(['true', 'yes', 'on', '1'])
const NO = new Set(['false', 'no', 'off', '0'])

/** True or false, in the words of YAML, PostgreSQL and shells. */
export const yesOrNo: ValueKind<boolean> = {
  name: 'true or false',
  read: (value) => {
    const word = value.toLowerCase()
    if (YES.has(word)) return right(true)
    if (NO.has(word)) return right(false)
    return wrong('must be true or false', 'write true or false')
  },
  show: String,
}

const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: MILLISECOND,
  s: SECOND,
  m: MINUTE,
  min: MINUTE,
  h: HOUR,
  d: 24 * HOUR,
}

/** A time span in milliseconds: `500ms`, `10s`, `1m30s`; a bare number counts seconds. `max` is inclusive. */
export function duration(limits: { min: number; max: number }): ValueKind<number> {
  const bounds = `from ${showDuration(limits.min)} to ${showDuration(limits.max)}`
  return {
    name: `duration (${bounds})`,
    read: (value) => {
      const ms = parseDuration(value)
      if (ms === undefined) {
        return wrong(
          'must be a duration',
          'write a number with a unit (ms, s, m, h, d), e.g. 500ms, 10s or 1m',
        )
      }
      if (ms >= limits.min && ms <= limits.max) return right(ms)
      const bare = /^[\d.]+$/.test(value.trim()) && ms > 0 ? ` (a number without a unit counts seconds)` : ''
      return wrong(`must be a duration ${bounds}${bare}`, 'choose a duration within these limits')
    },
    show: showDuration,
  }
}

function parseDuration(value: string): number | undefined {
  const compact = value.trim().replaceAll(/\s+/g, '')
  if (compact.length > 32) return undefined
  if (/^\d+(\.\d+)?$/.test(compact)) return Math.round(Number(compact) * SECOND)
  if (!/^(\d+(\.\d+)?(ms|s|min|m|h|d))+$/.test(compact)) return undefined
  let total = 0
  for (const [, amount, unit] of compact.matchAll(/(\d+(?:\.\d+)?)(ms|s|min|m|h|d)/g)) {
    total += Number(amount) * (DURATION_UNITS[unit ?? ''] ?? 0)
  }
  return Math.round(total)
}

/** A duration as people write it: the largest unit that leaves no fraction. */
export function showDuration(ms: number): string {
  if (ms === 0) return '0s'
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    const size = DURATION_UNITS[unit] as number
    if (ms % size === 0) return `${ms / size}${unit}`
  }
  return `${ms}ms`
}

const SIZE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: KiB,
  kb: KiB,
  kib: KiB,
  m: MiB,
  mb: MiB,
  mib: MiB,
  g: GiB,
  gb: GiB,
  gib: GiB,
}

/** A size in bytes: `16MB`, `1GB`; units of 1024 as in PostgreSQL; a bare number counts bytes. */
export const size: ValueKind<number> = {
  name: 'size',
  read: (value) => {
    const parts = /^(\d+)\s*([A-Za-z]*)$/.exec(value.trim())
    const unit = SIZE_UNITS[(parts?.[2] ?? '?').toLowerCase()]
    const bytes = Number(parts?.[1]) * (unit ?? Number.NaN)
    return Number.isSafeInteger(bytes)
      ? right(bytes)
      : wrong(
          'must be a size',
          'write a number with a unit (B, kB, MB, GB), e.g. 16MB; a bare number counts bytes',
        )
  },
  show: (value) => {
    if (value > 0 && value % GiB === 0) return `${value / GiB}GB`
    if (value > 0 && value % MiB === 0) return `${value / MiB}MB`
    if (value > 0 && value % KiB === 0) return `${value / KiB}kB`
    return String(value)
  },
}

/** One of a few words. `synonyms` are read and never written; `later` are words that will mean something. */
export function oneOf<const Word extends string>(
  words: readonly Word[],
  also: { synonyms?: Readonly<Record<string, Word>>; later?: Readonly<Record<string, string>> } = {},
): ValueKind<Word> {
  return {
    name: words.map((word) => `\`${word}\``).join(', '),
    read: (value) => {
      const word = value.trim().toLowerCase()
      const found = words.find((known) => known === word) ?? ownEntry(also.synonyms, word)
      if (found !== undefined) return right(found)
      const later = ownEntry(also.later, word)
      if (later !== undefined)
        return wrong(`"${word}" is not there yet: it comes with ${later}`, `use ${words[0]} for now`)
      return wrong(
        `must be one of ${words.join(', ')}`,
        `write ${words.length === 1 ? words[0] : `${words[0]}, for instance`}`,
      )
    },
    show: (value) => value,
  }
}

/** What stands in the record itself: words come from files and may be called `constructor`. */
function ownEntry<T>(record: Readonly<Record<string, T>> | undefined, word: string): T | undefined {
  return record !== undefined && Object.hasOwn(record, word) ? record[word] : undefined
}

/** Both families of words for the two roles of a database are read; `primary` and `standby` are kept. */
export const roleHint = oneOf(['primary', 'standby', 'witness'], {
  synonyms: {
    master: 'primary',
    leader: 'primary',
    slave: 'standby',
    replica: 'standby',
    secondary: 'standby',
  },
})
