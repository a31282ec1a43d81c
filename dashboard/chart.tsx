import { clock } from './format.ts'
import { linePath, nearestIndex, roundTop } from './series.ts'

export type ChartLine = {
  readonly name: string
  readonly colour: string
  readonly values: readonly (number | null)[]
}

export type ChartProps = {
  readonly measure: string
  readonly title: string
  /** The scale never ends below it: noise on an idle system is no drama. */
  readonly least: number
  /** Bytes are round in other numbers than the rest. */
  readonly unit?: 1024
  readonly show: (value: number) => string
  readonly from: number
  readonly to: number
  readonly times: readonly number[]
  readonly lines: readonly ChartLine[]
  readonly marks: readonly number[]
  /** The sample that is looked at, on all charts together. */
  readonly index: number | undefined
  readonly onPoint: (at: number | undefined) => void
}

/** Small and silent: its scale on the right, its newest values (or those that are pointed at) in the head. */
export function Chart(props: ChartProps) {
  const { title, measure, least, unit, show, from, to, times, lines, marks, index, onPoint } = props
  const visible = lines.flatMap(({ values }) =>
    values.filter((value, at): value is number => value !== null && (times[at] ?? 0) >= from),
  )
  const frame = { from, to, top: roundTop(Math.max(0, ...visible), least, unit) }
  const shown = index ?? times.length - 1
  const said = lines.flatMap(({ name, colour, values }) => {
    const value = values[shown] ?? null
    return value === null ? [] : [{ name, colour, text: show(value) }]
  })
  const cursorX = index === undefined ? undefined : (1000 * ((times[index] ?? to) - from)) / (to - from)
  const point = (event: PointerEvent) => {
    const box = (event.currentTarget as Element).getBoundingClientRect()
    onPoint(from + ((to - from) * (event.clientX - box.left)) / box.width)
  }
  const step = (event: KeyboardEvent) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
    const near = index ?? nearestIndex(times, to)
    if (by === undefined || near === undefined) return
    event.preventDefault()
    onPoint(times[Math.min(times.length - 1, Math.max(0, near + by))])
  }
  return (
    <figure class="chart" data-measure={measure}>
      <figcaption>
        <span>{title}</span>
        <span class="now">
          {said.map(({ name, colour, text }) => (
            <b key={name} class={colour} data-line={name}>
              {text}
            </b>
          ))}
        </span>
      </figcaption>
      <div
        class="plot"
        role="img"
        tabIndex={0}
        aria-label={`${title}, ${said.map(({ name, text }) => `${name} ${text}`).join(', ') || 'nothing known yet'}`}
        onPointerMove={point}
        onPointerLeave={() => onPoint(undefined)}
        onBlur={() => onPoint(undefined)}
        onKeyDown={step}
      >
        <svg viewBox="0 0 1000 100" preserveAspectRatio="none">
          <path class="grid" d="M0 0H1000M0 50H1000M0 100H1000" />
          {marks.map((at) => (
            <path key={at} class="take-over" d={`M${(1000 * (at - from)) / (to - from)} 0V100`} />
          ))}
          {lines.map(({ name, colour, values }) => (
            <path key={name} class={`line ${colour}`} d={linePath(times, values, frame)} />
          ))}
          {cursorX !== undefined && cursorX >= 0 && <path class="cursor" d={`M${cursorX} 0V100`} />}
        </svg>
        <span class="scale top">{show(frame.top)}</span>
        <span class="scale middle">{show(frame.top / 2)}</span>
        <span class="scale start">{clock(from)}</span>
      </div>
    </figure>
  )
}
