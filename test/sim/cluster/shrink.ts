import { ClusterSimulationFailure, type ClusterSimulationOptions } from './cluster-simulation.ts'
import type { ScheduledFault } from './fault-schedule.ts'
import { runSeed } from './seed-runner.ts'

/** Runs that a shrink may cost. */
const TRIES_MAX = 200

/** The part of a message that names the checker. */
export function checkerOf(message: string): string {
  return message.slice(0, Math.max(0, message.indexOf(':')))
}

/**
 * Fewer faults with the same outcome: ddmin (Zeller) over the schedule, everything else as the seed has it. A run counts
 * when the same checker stops it.
 */
export async function shrink(
  failure: ClusterSimulationFailure,
  options: ClusterSimulationOptions,
): Promise<{ readonly schedule: readonly ScheduledFault[]; readonly tries: number }> {
  const wanted = checkerOf(failure.violation)
  let tries = 0
  const fails = async (schedule: readonly ScheduledFault[]): Promise<boolean> => {
    tries += 1
    const verdict = await runSeed({ ...options, schedule, traceLines: 1 })
    return verdict.kind === 'violation' && checkerOf(verdict.failure.violation) === wanted
  }
  let schedule = failure.schedule
  let parts = 2
  while (schedule.length > 1 && tries < TRIES_MAX) {
    const size = Math.ceil(schedule.length / parts)
    let isSmaller = false
    for (let from = 0; from < schedule.length && tries < TRIES_MAX; from += size) {
      const rest = [...schedule.slice(0, from), ...schedule.slice(from + size)]
      if (!(await fails(rest))) continue
      schedule = rest
      parts = Math.max(2, parts - 1)
      isSmaller = true
      break
    }
    if (isSmaller) continue
    if (size === 1) break
    parts = Math.min(schedule.length, 2 * parts)
  }
  if (schedule.length === 1 && (await fails([]))) schedule = []
  return { schedule, tries }
}
