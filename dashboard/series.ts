import type { MemberSeries, RecentDocument } from '#client'

export type Measure = Exclude<keyof MemberSeries, 'name'>
/** What the charts are drawn from: the answers to `/v1/recent`, one after another. */
export type Charted = {
  readonly times: readonly number[]
  readonly series: readonly MemberSeries[]
}

export const NOTHING_CHARTED: Charted = { times: [], series: [] }

/** As many points as the agent keeps. */
const POINTS_MAX = 450

/** With the newest answer behind what is known; a member that comes or goes has gaps. */
export function appended(known: Charted, news: Pick<RecentDocument, 'times' | 'series'>): Charted {
  if (news.times.length === 0) return known
  const names = [...new Set([...known.series, ...news.series].map(({ name }) => name))].toSorted()
  const column = ({ times, series }: Charted, name: string, measure: Measure) =>
    series.find((one) => one.name === name)?.[measure] ?? times.map(() => null)
  const joined = (name: string, measure: Measure) =>
    [...column(known, name, measure), ...column(news, name, measure)].slice(-POINTS_MAX)
  return {
    times: [...known.times, ...news.times].slice(-POINTS_MAX),
    series: names.map((name) => ({
      name,
      lagBytes: joined(name, 'lagBytes'),
      walBytesPerSecond: joined(name, 'walBytesPerSecond'),
      transactionsPerSecond: joined(name, 'transactionsPerSecond'),
      transactionMs: joined(name, 'transactionMs'),
      connections: joined(name, 'connections'),
    })),
  }
}

export type Frame = { readonly from: number; readonly to: number; readonly top: number }

/** A gap in time of more than this many samples is a gap in the line. */
const GAP_SAMPLES = 3

/** The path of one line in a box of 1000 × 100, its origin top left; unknown values and long silences are gaps. */
export function linePath(times: readonly number[], values: readonly (number | null)[], frame: Frame): string {
  const { from, to, top } = frame
  const parts: string[] = []
  let before: number | undefined
  for (const [index, time] of times.entries()) {
    const value = values[index] ?? null
    if (value === null || time < from) {
      before = undefined
      continue
    }
    const x = (1000 * (time - from)) / (to - from)
    const y = 100 - (100 * Math.min(value, top)) / top
    const isJoined = before !== undefined && time - before <= GAP_SAMPLES * 2000
    parts.push(`${isJoined ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`)
    before = time
  }
  return parts.join('')
}

/** A round number at or above the highest value: 1, 2 or 5 with zeros, in units of 1 or, for bytes, of 1024 and its powers. */
export function roundTop(highest: number, least: number, unit: 1 | 1024 = 1): number {
  const wanted = Math.max(highest, least)
  const units = unit === 1 ? 1 : unit ** Math.floor(Math.log(wanted) / Math.log(unit))
  const power = units * 10 ** Math.floor(Math.log10(wanted / units))
  return [1, 2, 5].map((step) => step * power).find((step) => step >= wanted) ?? 10 * power
}

/** Index of the sample that is nearest in time. */
export function nearestIndex(times: readonly number[], at: number): number | undefined {
  let best: number | undefined
  for (const [index, time] of times.entries()) {
    if (best === undefined || Math.abs(time - at) < Math.abs((times[best] ?? 0) - at)) best = index
  }
  return best
}
