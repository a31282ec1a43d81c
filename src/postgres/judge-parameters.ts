import { refusedParameters } from './parameters.ts'
import type { SqlSession } from './sql-session.ts'

/** Why PostgreSQL would not take a parameter. */
export type WrongParameter = { readonly name: string; readonly rule: string }

/** One line of `pg_settings`, as text. */
export type KnownParameter = {
  readonly name: string
  readonly vartype: 'bool' | 'enum' | 'integer' | 'real' | 'string'
  readonly unit: string | null
  readonly min: string | null
  readonly max: string | null
  readonly words: readonly string[] | null
  readonly context: string
}

/** Factors of the units that PostgreSQL takes (`convert_to_base_unit` in guc.c), in bytes and in milliseconds. */
const MEMORY: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1024,
  MB: 1024 ** 2,
  GB: 1024 ** 3,
  TB: 1024 ** 4,
}
const TIME: Readonly<Record<string, number>> = {
  us: 0.001,
  ms: 1,
  s: 1000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}
const BOOLEANS = /^(on|off|t(r(u(e)?)?)?|f(a(l(s(e)?)?)?)?|y(es?)?|no?|1|0)$/i

/** Asks the server what it knows of these. Throws what the session throws. */
export async function judgeParameters(
  session: SqlSession,
  parameters: Readonly<Record<string, string>>,
  deadlineMs: number,
): Promise<readonly WrongParameter[]> {
  const names = Object.keys(parameters)
  if (names.length === 0) return []
  const known = await session.query<KnownParameter>(
    {
      text: `select name, vartype, unit, min_val as min, max_val as max, enumvals as words, context
             from pg_settings where name = any ($1)`,
      values: [names],
    },
    deadlineMs,
  )
  const refused = refusedParameters(parameters).map(({ name, reason }) => ({
    name,
    rule: `is not set by hand: ${reason}`,
  }))
  const wrong = Object.entries(parameters).flatMap(([name, value]): readonly WrongParameter[] => {
    if (refused.some((one) => one.name === name)) return []
    const rule = judgeParameter(
      known.find((one) => one.name === name),
      { name, value },
    )
    return rule === undefined ? [] : [{ name, rule }]
  })
  return [...refused, ...wrong]
}

/** Why this value cannot be; `undefined`: as far as can be told, it can. */
export function judgeParameter(
  known: KnownParameter | undefined,
  { name, value }: { readonly name: string; readonly value: string },
): string | undefined {
  // Of an extension that is not loaded nothing is known.
  if (!known) return name.includes('.') ? undefined : 'is no parameter of this PostgreSQL'
  if (known.context === 'internal') return 'cannot be changed: it is a property of the server'
  switch (known.vartype) {
    case 'bool':
      return BOOLEANS.test(value) ? undefined : `must be on or off, not "${value}"`
    case 'enum': {
      const words = known.words ?? []
      return words.includes(value.toLowerCase())
        ? undefined
        : `must be one of ${words.join(', ')}, not "${value}"`
    }
    case 'integer':
    case 'real':
      return judgeNumber(known, value)
    case 'string':
      return undefined
  }
}

function judgeNumber({ unit, min, max, vartype }: KnownParameter, value: string): string | undefined {
  const match = /^\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|0x[0-9a-f]+)\s*([A-Za-z]*)\s*$/i.exec(value)
  const given = match?.[2] ?? ''
  const number = Number(match?.[1])
  const units = unit === null ? {} : unitsOf(unit)
  if (match === null || !Number.isFinite(number) || (given !== '' && units[given] === undefined)) {
    const with_ =
      unit === null ? 'a number' : `a number, with one of the units ${Object.keys(units).join(', ')} or none`
    return `must be ${with_}, not "${value}"`
  }
  const base = given === '' ? number : number * ((units[given] ?? 1) / baseOf(unit ?? '', units))
  const rounded = vartype === 'integer' ? Math.round(base) : base
  const isWithin = rounded >= Number(min ?? -Infinity) && rounded <= Number(max ?? Infinity)
  return isWithin
    ? undefined
    : `must be from ${min} to ${max}${unit === null ? '' : ` (in ${unit})`}, not "${value}"`
}

function unitsOf(unit: string): Readonly<Record<string, number>> {
  return unit.endsWith('B') ? MEMORY : TIME
}

/** Of a unit such as "8kB". */
function baseOf(unit: string, units: Readonly<Record<string, number>>): number {
  const match = /^(\d*)([A-Za-z]+)$/.exec(unit)
  return Number(match?.[1] || 1) * (units[match?.[2] ?? ''] ?? 1)
}
