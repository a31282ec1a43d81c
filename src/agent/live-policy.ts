import type { Policy } from '../ha/policy.ts'
import type { AckPolicy } from '../model/ack-rule.ts'
import { dynamicRules, type DynamicRules } from '../model/dynamic-config.ts'

/**
 * The limits of a node as its file has them, and from moment to moment with what is set for the whole cluster instead: members that judged by
 * different limits would wait for each other. `settings`: as they stand in the store.
 */
export function livePolicy(file: Policy, settings: () => string | undefined): Policy {
  let known: string | undefined
  let rules: DynamicRules = {}
  let acks = file.acks
  const now = (): DynamicRules => {
    const text = settings()
    if (text !== known) {
      known = text
      rules = dynamicRules(text)
      acks = acksOf(file.acks, rules)
    }
    return rules
  }
  return {
    ...file,
    get maximumLagBytes() {
      return now().maximumLagBytes ?? file.maximumLagBytes
    },
    get primaryStartTimeoutMs() {
      return now().primaryStartTimeoutMs ?? file.primaryStartTimeoutMs
    },
    get acks() {
      now()
      return acks
    },
  } as Policy
}

function acksOf(
  file: AckPolicy | undefined,
  { mode, isStrict, wantedK }: DynamicRules,
): AckPolicy | undefined {
  if (mode === 'async' || (mode === undefined && !file)) return undefined
  const method = mode === undefined ? file?.method : mode === 'sync' ? 'FIRST' : 'ANY'
  const k = wantedK ?? file?.wantedK
  return {
    method: method ?? 'ANY',
    isStrict: isStrict ?? file?.isStrict ?? false,
    ...(k === undefined ? {} : { wantedK: k }),
  }
}
