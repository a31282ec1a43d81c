import type { ClusterView } from '#client'
import { bytes } from '../../std/quantity-text.ts'
import { columnsOf, pad, padStart, type Paint } from './ansi.ts'
import type { DemoConnections, DemoNode } from './demo-layout.ts'
import { duration, stateOf } from './member-words.ts'
import type { DemoPicture } from './supervisor.ts'

/** What does not change while the demo runs. */
export type Frame = {
  readonly paint: Paint
  readonly connections: DemoConnections
  readonly api: string
  readonly folder: string
  /** `Ctrl-C was pressed` and the like; shown in the last line. */
  readonly notice: string
}

/** A section that goes when the terminal is too low for all; the highest number goes first. */
type Section = { readonly rank: number; readonly lines: readonly string[] }

const NAME_WIDTH = 8
const LEASE_BAR_WIDTH = 20
const EVENTS_SHOWN = 6

/** The whole live view, as many lines as fit. Pure: the same picture gives the same lines. */
export function drawPicture(
  picture: DemoPicture,
  frame: Frame,
  size: { readonly columns: number; readonly rows: number },
): readonly string[] {
  const sections: Section[] = [
    { rank: 0, lines: [headline(picture, frame, size.columns)] },
    { rank: 0, lines: memberLines(picture, frame.paint) },
    { rank: 2, lines: leaseLines(picture, frame.paint) },
    { rank: 5, lines: findingLines(picture, frame.paint) },
    { rank: 4, lines: eventLines(picture, frame.paint) },
    { rank: 1, lines: connectLines(frame) },
    { rank: 3, lines: suggestionLines(picture, frame.paint) },
    {
      rank: 0,
      lines: [frame.notice || frame.paint.dim(`Ctrl-C stops the cluster; its data stays in ${frame.folder}`)],
    },
  ]
  return fit(
    sections.filter((section) => section.lines.length > 0),
    size.rows,
  )
}

/** Blank lines between the sections as long as there is room; then the least important sections go. */
function fit(sections: readonly Section[], rows: number): readonly string[] {
  let kept = sections
  const total = () => kept.reduce((sum, { lines }) => sum + lines.length, 0)
  while (total() > rows && kept.some(({ rank }) => rank > 0)) {
    const worst = Math.max(...kept.map(({ rank }) => rank))
    kept = kept.filter(({ rank }) => rank < worst)
  }
  const isAiry = total() + kept.length - 1 <= rows
  return kept.flatMap(({ lines }, index) => (isAiry && index > 0 ? ['', ...lines] : lines))
}

function headline(picture: DemoPicture, frame: Frame, columns: number): string {
  const { paint } = frame
  const count = picture.nodes.length
  const left = `${paint.bold('pg-metako demo')}  ${count} node${count > 1 ? 's' : ''}, running for ${duration(picture.runningForMs)}`
  const right = picture.healthy
    ? paint.good('healthy')
    : picture.takesWrites
      ? paint.warning('takes writes, not complete')
      : picture.seen.best?.record === undefined
        ? paint.warning('starting')
        : paint.bad('no writes at the moment')
  return `${pad(left, columns - columnsOf(right) - 1)} ${right}`
}

function memberLines(picture: DemoPicture, paint: Paint): readonly string[] {
  const heading = paint.dim(row(['node', 'role', 'state', 'tl', 'lag', 'postgres', 'router', 'api']))
  return [heading, ...picture.nodes.flatMap((node) => memberLine(node, picture, paint))]
}

function memberLine(node: DemoNode, picture: DemoPicture, paint: Paint): readonly string[] {
  const best = picture.seen.best
  const own = picture.seen.views.get(node.name)
  const member = (own ?? best)?.members.find(({ facts }) => facts.name === node.name)
  const lagBytes = best?.members.find(({ facts }) => facts.name === node.name)?.lagBytes
  const instance = member?.facts.instance
  const isHolder = best?.record?.holder === node.name && best.record.state === 'open'
  const role = instance?.role ?? ''
  const state = stateOf(node, member, picture)
  const tint = state.good ? paint.good : paint.warning
  const cells = [
    paint.bold(node.name),
    isHolder && role === 'primary' ? paint.accent(role) : role,
    tint(state.text),
    instance?.timeline === undefined ? '' : String(instance.timeline),
    role === 'standby' && lagBytes !== undefined ? bytes(lagBytes) : '',
    String(node.ports.postgres),
    `${node.ports.primary}`,
    String(node.ports.api),
  ]
  const trouble = instance?.trouble
  return [row(cells), ...(trouble ? [paint.warning(`${' '.repeat(NAME_WIDTH)}${trouble}`)] : [])]
}

function row(cells: readonly string[]): string {
  const [name = '', role = '', state = '', timeline = '', lag = '', postgres = '', router = '', api = ''] =
    cells
  return [
    pad(name, NAME_WIDTH),
    pad(role, 8),
    pad(state, 26),
    padStart(timeline, 3),
    padStart(lag, 9),
    padStart(postgres, 9),
    padStart(router, 7),
    padStart(api, 6),
  ].join('')
}

function leaseLines({ seen }: DemoPicture, paint: Paint): readonly string[] {
  const record = seen.best?.record
  if (!seen.best || !record) return [paint.dim('lease    nobody holds it yet')]
  const remaining = Math.max(0, Math.round(seen.best.leaseRemainingMs))
  const filled = Math.min(LEASE_BAR_WIDTH, Math.round((LEASE_BAR_WIDTH * remaining) / record.ttlMs))
  const bar = `${'█'.repeat(filled)}${'░'.repeat(LEASE_BAR_WIDTH - filled)}`
  const right =
    record.state === 'released'
      ? paint.warning(`released by ${record.holder}`)
      : `${paint.bold(record.holder)}, epoch ${record.epoch}${record.state === 'open' ? '' : ', not open yet'}`
  const tint = remaining > record.ttlMs / 3 ? paint.good : paint.warning
  const quorum = seen.best.consensus.hasQuorum ? '' : paint.bad('  no majority')
  return [`lease    ${right}  ${tint(bar)} ${padStart(String(remaining), 5)} ms left${quorum}`]
}

function findingLines({ seen }: DemoPicture, paint: Paint): readonly string[] {
  const tint = { info: paint.dim, warning: paint.warning, critical: paint.bad } as const
  return (seen.best?.findings ?? [])
    .filter(({ severity }) => severity !== 'info')
    .slice(0, 3)
    .map(({ severity, message }) => tint[severity](`!        ${message}`))
}

function eventLines(picture: DemoPicture, paint: Paint): readonly string[] {
  const all = [...historyEvents(picture.seen.best), ...picture.events].toSorted((a, b) => a.atMs - b.atMs)
  return all
    .slice(-EVENTS_SHOWN)
    .map(
      ({ atMs, text }, index) =>
        `${index === 0 ? 'events   ' : '         '}${paint.dim(clock(atMs))} ${text}`,
    )
}

const REASONS: Readonly<Record<string, string>> = {
  BOOTSTRAP: 'first start',
  LEASE_EXPIRED: 'old lease ran out',
  PRIMARY_CRASHED: 'old primary crashed',
  WRITE_PATH_STALLED: 'nothing could be written at the old primary',
  DISK_FULL: 'disk of the old primary full',
  SWITCHOVER: 'switchover',
  PRIMARY_STOPPED: 'old primary stopped',
}

function historyEvents(view: ClusterView | undefined): readonly { atMs: number; text: string }[] {
  const opened = (view?.history ?? []).map((link) => ({
    atMs: Date.parse(link.openedAt),
    text: `${link.holder} is primary, epoch ${link.epoch}, timeline ${link.timeline}: ${REASONS[link.reason] ?? link.reason}`,
  }))
  const lost = (view?.losses ?? []).map((loss) => ({
    atMs: Date.parse(loss.foundAt),
    text: `${loss.member} lost ${loss.transactions} transaction${loss.transactions === 1 ? '' : 's'} at the take-over of epoch ${loss.epoch}`,
  }))
  return [...opened, ...lost].filter(({ atMs }) => Number.isFinite(atMs))
}

function connectLines({ connections, paint, api }: Frame): readonly string[] {
  return [
    `write    psql ${connections.primary}`,
    `read     psql ${connections.replica}`,
    `pooled   psql ${connections.pooled}`,
    `page     ${api}dashboard/`,
    paint.dim(`api      ${api}cluster`),
  ]
}

function suggestionLines({ nodes }: DemoPicture, paint: Paint): readonly string[] {
  const line = (command: string, what: string) => `${pad(`npx pg-metako ${command}`, 36)}${paint.dim(what)}`
  const faults =
    nodes.length > 1
      ? [
          `try      ${line('demo kill primary', 'kill -9 of its PostgreSQL')}`,
          `         ${line('demo kill node', 'kill -9 of all of its node')}`,
          `         ${line('demo kill agent', 'PostgreSQL goes on without it')}`,
          `         ${line('switchover', 'planned, nothing is lost')}`,
        ]
      : [`try      ${line('demo kill primary', 'kill -9 of its PostgreSQL')}`]
  return [...faults, `         ${line('list', 'the members as a table')}`]
}

function clock(wallMs: number): string {
  const at = new Date(wallMs)
  return [at.getHours(), at.getMinutes(), at.getSeconds()]
    .map((part) => String(part).padStart(2, '0'))
    .join(':')
}
