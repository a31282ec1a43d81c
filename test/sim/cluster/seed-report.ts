import type { ScheduledFault } from './fault-schedule.ts'
import type { SeedVerdict } from './seed-runner.ts'

/** A verdict as it crosses from a worker. */
export type SeedReport =
  | {
      readonly seed: number
      readonly kind: 'clean'
      readonly hash: string
      readonly events: number
      readonly acknowledged: number
      readonly missing: number
      readonly faults: number
      readonly epochs: number
      readonly simulatedMs: number
    }
  | {
      readonly seed: number
      readonly kind: 'violation' | 'not-repeatable' | 'broken'
      readonly message: string
      readonly trace: readonly string[]
      readonly schedule: readonly ScheduledFault[]
    }

export function reportOf(seed: number, verdict: SeedVerdict): SeedReport {
  switch (verdict.kind) {
    case 'clean': {
      const { hash, events, acknowledged, missing, epochs, simulatedMs, schedule } = verdict.result
      const faults = schedule.length
      return { seed, kind: 'clean', hash, events, acknowledged, missing, faults, epochs, simulatedMs }
    }
    case 'violation': {
      const { violation, trace, schedule } = verdict.failure
      return { seed, kind: 'violation', message: violation, trace, schedule }
    }
    case 'not-repeatable':
      return {
        seed,
        kind: 'not-repeatable',
        message: `two runs differ: ${verdict.hashes.join(' and ')}`,
        trace: [],
        schedule: [],
      }
  }
}
