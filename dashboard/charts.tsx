import type { ClusterView, MemberSeries } from '#client'
import { useState } from 'preact/hooks'
import { Chart, type ChartLine } from './chart.tsx'
import { bytes, clock, digits } from './format.ts'
import type { Live } from './live-cluster.ts'
import { colourOf } from './member-colour.ts'
import { nearestIndex, type Measure } from './series.ts'

type Drawn = {
  readonly measure: Measure
  readonly title: string
  readonly least: number
  readonly unit?: 1024
  readonly show: (value: number) => string
}

const CHARTS: readonly Drawn[] = [
  { measure: 'transactionsPerSecond', title: 'Transactions a second', least: 10, show: digits },
  {
    measure: 'transactionMs',
    title: 'Time in statements, each transaction',
    least: 1,
    show: (ms) => `${digits(ms)} ms`,
  },
  { measure: 'lagBytes', title: 'Behind the primary', least: 10_240, unit: 1024, show: bytes },
  { measure: 'walBytesPerSecond', title: 'WAL a second', least: 10_240, unit: 1024, show: bytes },
  { measure: 'connections', title: 'Sessions', least: 10, show: digits },
]

const MINUTES = [2, 5, 15] as const

export function Charts({ live, view }: { live: Live; view: ClusterView }) {
  const [minutes, setMinutes] = useState<number>(5)
  const [at, setAt] = useState<number | undefined>(undefined)
  const { times, series } = live.charted
  const to = times.at(-1) ?? Date.now()
  const frame = { from: to - minutes * 60_000, to }
  const index = at === undefined ? undefined : nearestIndex(times, at)
  const takeOvers = view.history.slice(1).flatMap(({ openedAt }) => {
    const opened = Date.parse(openedAt)
    return opened >= frame.from && opened <= to ? [opened] : []
  })
  return (
    <section class="card charts" aria-labelledby="charts">
      <div class="card-head">
        <h2 id="charts">Last {minutes} minutes</h2>
        <span class="at">{index === undefined ? '' : clock(times[index] ?? to)}</span>
        <div class="choice" role="group" aria-label="How much time">
          {MINUTES.map((one) => (
            <button key={one} type="button" aria-pressed={one === minutes} onClick={() => setMinutes(one)}>
              {one} min
            </button>
          ))}
        </div>
      </div>
      <div class="chart-grid">
        {CHARTS.map((drawn) => (
          <Chart
            key={drawn.measure}
            {...drawn}
            {...frame}
            times={times}
            lines={series.map((one) => lineOf(one, drawn.measure, view))}
            marks={takeOvers}
            index={index}
            onPoint={setAt}
          />
        ))}
        <p class="lines-legend">
          {series.map(({ name }) => (
            <span key={name}>
              <i class={`dot ${colourOf(name, view)}`} />
              {name}
            </span>
          ))}
          <span>
            <i class="mark-line" />
            take-over
          </span>
        </p>
      </div>
    </section>
  )
}

function lineOf(series: MemberSeries, measure: Measure, view: ClusterView): ChartLine {
  return { name: series.name, colour: colourOf(series.name, view), values: series[measure] }
}
