import type { ClusterSimulationOptions } from './cluster-simulation.ts'
import type { ScheduledFault } from './fault-schedule.ts'

/** A run as a text that can be committed: what it shows, what it is, and its faults one a line. */
export function scheduleText(
  options: ClusterSimulationOptions,
  story: string,
  schedule: readonly ScheduledFault[],
): string {
  const { traceLines: _lines, schedule: _schedule, ...run } = options
  return [
    ...story.split('\n').map((line) => `# ${line}`),
    `run ${JSON.stringify(run)}`,
    ...schedule.map((one) => `fault ${JSON.stringify(one)}`),
    '',
  ].join('\n')
}

/** Throws where the text is none of `scheduleText`. */
export function readSchedule(text: string): {
  readonly options: ClusterSimulationOptions
  readonly schedule: readonly ScheduledFault[]
} {
  const lines = text.split('\n')
  const run = lines.find((line) => line.startsWith('run '))
  if (run === undefined) throw new Error('Cannot read the schedule: it has no line that begins with "run"')
  return {
    options: JSON.parse(run.slice('run '.length)) as ClusterSimulationOptions,
    schedule: lines
      .filter((line) => line.startsWith('fault '))
      .map((line) => JSON.parse(line.slice('fault '.length)) as ScheduledFault),
  }
}
