import { SECOND } from '../std/units.ts'
import { whereGiven } from '../std/where-given.ts'

/**
 * What operators set for the whole cluster while it runs: one JSON object in the store, at Patroni's key `config` and in its words.
 * Whoever writes it has validated it; whoever reads it takes what it understands.
 */
export type DynamicConfig = {
  /** Nobody takes over, nothing is started or stopped by itself (docs/adr/0034). */
  readonly pause?: boolean
}

/** Of the settings those that decisions go by; absent: the file of each node decides. */
export type DynamicRules = {
  readonly maximumLagBytes?: number
  readonly primaryStartTimeoutMs?: number
  /** `async`: commits wait for nobody. */
  readonly mode?: 'async' | 'sync' | 'quorum'
  readonly isStrict?: boolean
  readonly wantedK?: number
}

export type JsonObject = { readonly [key: string]: unknown }

export function parseDynamicConfig(text: string | undefined): DynamicConfig {
  return dynamicObject(text)['pause'] === true ? { pause: true } : {}
}

/** What is none of its kind counts as not set: whoever wrote it did so past those who judge it. */
export function dynamicRules(text: string | undefined): DynamicRules {
  const settings = dynamicObject(text)
  const read = <T>(key: string): T | undefined => {
    const value = settings[key]
    return value === undefined || RULES[key]?.judge(value) !== undefined ? undefined : (value as T)
  }
  const timeout = read<number>('primary_start_timeout')
  return {
    ...whereGiven('maximumLagBytes', read<number>('maximum_lag_on_failover')),
    ...whereGiven('primaryStartTimeoutMs', timeout === undefined ? undefined : timeout * SECOND),
    ...whereGiven('mode', modeOf(read('synchronous_mode'))),
    ...whereGiven('isStrict', read<boolean>('synchronous_mode_strict')),
    ...whereGiven('wantedK', read<number>('synchronous_node_count')),
  }
}

/** Patroni's words. */
function modeOf(value: unknown): DynamicRules['mode'] {
  if (value === undefined) return undefined
  if (value === 'quorum') return 'quorum'
  return value === true || value === 'on' ? 'sync' : 'async'
}

/** `postgresql.parameters`: what every member's PostgreSQL is set to, where its own config file says nothing else. */
export function clusterParameters(text: string | undefined): Readonly<Record<string, string>> {
  return parametersIn(dynamicObject(text))
}

export function parametersIn({ postgresql }: JsonObject): Readonly<Record<string, string>> {
  const parameters = isObject(postgresql) ? postgresql['parameters'] : undefined
  if (!isObject(parameters)) return {}
  return Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => [name.toLowerCase(), settingText(value)]),
  )
}

/** As it stands in PostgreSQL's file. */
function settingText(value: unknown): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off'
  return String(value)
}

/** The object as it lies in the store; empty where nobody set anything, or somebody else wrote what is none. */
export function dynamicObject(text: string | undefined): JsonObject {
  if (text === undefined) return {}
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : {}
  } catch {
    return {}
  }
}

/** RFC 7396: objects are merged, `null` takes away, anything else replaces. */
export function mergePatch(target: JsonObject, patch: JsonObject): JsonObject {
  const merged: Record<string, unknown> = { ...target }
  for (const [key, value] of Object.entries(patch)) {
    const before = merged[key]
    if (value === null) delete merged[key]
    else if (isObject(value)) merged[key] = mergePatch(isObject(before) ? before : {}, value)
    else merged[key] = value
  }
  return merged
}

export type DynamicProblem = { readonly key: string; readonly rule: string }

/** What cannot be set in this way; empty: all of it can, as far as that can be told without asking PostgreSQL. */
export function judgeDynamicConfig(config: JsonObject): readonly DynamicProblem[] {
  return Object.entries(config).flatMap(([key, value]): readonly DynamicProblem[] => {
    switch (key) {
      case 'pause':
        return typeof value === 'boolean' ? [] : [wrong(key, 'must be true or false', value)]
      case 'postgresql':
        return isObject(value) ? judgePostgres(value) : [wrong(key, 'must have settings under it', value)]
      default: {
        const rule = RULES[key]
        if (!rule) return [{ key, rule: NOT_HERE }]
        const wanted = rule.judge(value)
        return wanted === undefined ? [] : [wrong(key, `must be ${wanted}`, value)]
      }
    }
  })
}

/** What a value must be; undefined: it is. */
type Rule = { readonly judge: (value: unknown) => string | undefined }

const RULES: Readonly<Record<string, Rule>> = {
  maximum_lag_on_failover: wholeNumber(0, 'a number of bytes'),
  primary_start_timeout: wholeNumber(0, 'a number of seconds'),
  synchronous_mode: oneOf([true, false, 'on', 'off', 'quorum']),
  synchronous_mode_strict: oneOf([true, false]),
  synchronous_node_count: wholeNumber(1, 'a number of members above 0'),
}

function wholeNumber(min: number, wanted: string): Rule {
  return {
    judge: (value) =>
      typeof value === 'number' && Number.isSafeInteger(value) && value >= min ? undefined : wanted,
  }
}

function oneOf(values: readonly unknown[]): Rule {
  return { judge: (value) => (values.includes(value) ? undefined : values.map(String).join(', ')) }
}

const NOT_HERE = 'cannot be set for the whole cluster at run time; it lies in the config file of each node'

function judgePostgres(postgresql: JsonObject): readonly DynamicProblem[] {
  return Object.entries(postgresql).flatMap(([key, value]): readonly DynamicProblem[] => {
    const name = `postgresql.${key}`
    if (key !== 'parameters') return [{ key: name, rule: NOT_HERE }]
    if (!isObject(value)) return [wrong(name, 'must have parameters of PostgreSQL under it', value)]
    return Object.entries(value)
      .filter(([, one]) => !['string', 'number', 'boolean'].includes(typeof one))
      .map(([parameter, one]) =>
        wrong(`${name}.${parameter}`, 'must be a text, a number, true or false', one),
      )
  })
}

function wrong(key: string, rule: string, value: unknown): DynamicProblem {
  return { key, rule: `${rule}, not ${JSON.stringify(value)}` }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
