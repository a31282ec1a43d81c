/**
 * What operators set for the whole cluster while it runs: one JSON object in the store, at Patroni's key `config` and in its words.
 * Whoever writes it has validated it; whoever reads it takes what it understands.
 */
export type DynamicConfig = {
  /** Nobody takes over, nothing is started or stopped by itself (docs/adr/0034). */
  readonly pause?: boolean
}

export type JsonObject = { readonly [key: string]: unknown }

export function parseDynamicConfig(text: string | undefined): DynamicConfig {
  return dynamicObject(text)['pause'] === true ? { pause: true } : {}
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

/** What cannot be set in this way; empty: all of it can. */
export function judgeDynamicConfig(config: JsonObject): readonly DynamicProblem[] {
  return Object.entries(config).flatMap(([key, value]): readonly DynamicProblem[] => {
    if (key !== 'pause') {
      return [
        {
          key,
          rule: 'cannot be set for the whole cluster at run time; it lies in the config file of each node',
        },
      ]
    }
    return typeof value === 'boolean'
      ? []
      : [{ key, rule: `must be true or false, not ${JSON.stringify(value)}` }]
  })
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
