import type { Policy } from '../ha/policy.ts'
import type { AckPolicy } from '../model/ack-rule.ts'
import { dynamicRules, type DynamicRules } from '../model/dynamic-config.ts'
import { rememberLast } from '../std/remember-last.ts'

/**
 * The limits of a node as its file has them, and from moment to moment with what is set for the whole cluster instead: members that judged by
 * different limits would wait for each other. `settings`: as they stand in the store.
 */
export function livePolicy(file: Policy, settings: () => string | undefined): Policy {
  const rulesIn = rememberLast((text: string | undefined) => {
    const rules = dynamicRules(text)
    return { ...rules, acks: acksOf(file.acks, rules) }
  })
  return {
    ...file,
    get maximumLagBytes() {
      return rulesIn(settings()).maximumLagBytes ?? file.maximumLagBytes
    },
    get primaryStartTimeoutMs() {
      return rulesIn(settings()).primaryStartTimeoutMs ?? file.primaryStartTimeoutMs
    },
    get acks() {
      return rulesIn(settings()).acks
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
