import type { ClusterView, MemberView } from '#client'
import { bytes } from '../std/quantity-text.ts'
import { MiB, SECOND } from '../std/units.ts'
import { duration } from './demo/member-words.ts'
import { toned, type Report } from './report.ts'
import type { Cell, Tone } from './table.ts'

/** What `list` and `topology` say of one member, in plain units. */
type MemberRow = {
  readonly member: string
  readonly host: string
  readonly port: number
  readonly role: string
  readonly state: string
  readonly timeline?: number
  /** Bytes; absent for the primary and where nobody knows. */
  readonly lag?: number
  readonly notes: readonly string[]
}

export type ListOptions = {
  /** Indents every standby under the member that it streams from. */
  readonly asTree: boolean
}

export function memberList(view: ClusterView, options: ListOptions): Report {
  const ordered = options.asTree ? treeOf(view) : view.members.map((member) => ({ member, depth: 0 }))
  const rows = ordered.map(({ member }) => rowOf(member, view))
  return {
    data: {
      cluster: view.scope,
      systemId: systemIdOf(view),
      seenFrom: view.self,
      takenAt: view.takenAt,
      epoch: view.record?.epoch,
      lease: { holder: holderOf(view), remainingMs: view.leaseRemainingMs },
      consensus: view.consensus,
      members: rows,
      findings: view.findings,
    },
    table: {
      title: `Cluster: ${view.scope} (${systemIdOf(view) ?? 'not initialised'})`,
      columns: [
        { title: 'Member' },
        { title: 'Host' },
        { title: 'Role' },
        { title: 'State' },
        { title: 'TL', align: 'right' },
        { title: 'Lag', align: 'right' },
        { title: 'Notes' },
      ],
      rows: ordered.map(({ member, depth }, index) => cellsOf(rows[index] ?? rowOf(member, view), depth)),
    },
    footer: [footerLine(view), ...view.findings.map(findingLine)],
    rows: [
      ['member', 'host', 'port', 'role', 'state', 'timeline', 'lag_bytes', 'notes'],
      ...rows.map((row) => [
        row.member,
        row.host,
        row.port,
        row.role,
        row.state,
        row.timeline,
        row.lag,
        row.notes.join('; '),
      ]),
    ],
  }
}

export function holderOf(view: ClusterView): string | undefined {
  return view.record && view.record.state !== 'released' && view.leaseRemainingMs > 0
    ? view.record.holder
    : undefined
}

function systemIdOf(view: ClusterView): string | undefined {
  const told = view.members.map((member) => member.facts.instance.systemId).find((id) => id !== undefined)
  return view.record?.systemId || told
}

function rowOf(member: MemberView, view: ClusterView): MemberRow {
  const { facts, reachable } = member
  const { instance } = facts
  const isPrimary = instance.role === 'primary'
  const lag = isPrimary || !reachable || instance.state !== 'running' ? undefined : member.lagBytes
  return {
    member: facts.name,
    host: facts.host,
    port: facts.port,
    role: facts.witness ? 'witness' : (instance.role ?? ''),
    state: stateOf(member),
    ...(instance.timeline === undefined ? {} : { timeline: instance.timeline }),
    ...(lag === undefined ? {} : { lag }),
    notes: notesOf(member, view),
  }
}

function stateOf({ facts, reachable }: MemberView): string {
  if (!reachable) return 'unreachable'
  if (facts.witness) return 'voting'
  return facts.instance.state === 'running' && facts.instance.streaming === true
    ? 'streaming'
    : facts.instance.state
}

function notesOf(member: MemberView, view: ClusterView): readonly string[] {
  const { facts, reachable, heardMsAgo } = member
  const { instance } = facts
  const holds = holderOf(view) === facts.name
  const notes: (string | undefined)[] = [
    holds ? (view.record?.state === 'authorised' ? 'holds lease, opening' : 'holds lease') : undefined,
    reachable ? undefined : heardMsAgo === undefined ? 'never heard' : `silent for ${duration(heardMsAgo)}`,
    instance.clone ? copyNote(instance.state, instance.clone) : undefined,
    instance.state === 'running' && instance.role === 'standby' && instance.streaming !== true && reachable
      ? 'not streaming'
      : undefined,
    (instance.pendingRestart?.length ?? 0) > 0
      ? `pending restart: ${instance.pendingRestart?.join(', ')}`
      : undefined,
    facts.keptParameters ? `its own file decides: ${facts.keptParameters.join(', ')}` : undefined,
    facts.held
      ? `held since ${facts.held.since}${facts.held.reason === undefined ? '' : `: ${facts.held.reason}`}`
      : undefined,
    facts.tags ? `tags: ${tagsText(facts.tags)}` : undefined,
    instance.walReplayPaused === true ? 'replay paused' : undefined,
    holds && facts.guard === 'absent' ? 'no guard' : undefined,
    facts.watchdog && (holds || facts.watchdog.state !== 'armed') && facts.watchdog.state !== 'usable'
      ? `watchdog ${facts.watchdog.state}`
      : undefined,
    instance.trouble,
  ]
  return notes.filter((note) => note !== undefined)
}

function tagsText(tags: NonNullable<MemberView['facts']['tags']>): string {
  return Object.entries(tags)
    .map(([name, value]) => (value === true ? name : `${name} ${value}`))
    .join(', ')
}

function copyNote(state: string, clone: NonNullable<MemberView['facts']['instance']['clone']>): string {
  const rate = `${Math.round(clone.bytesPerSecond / MiB)} MB/s`
  const { bytesDone, bytesTotal } = clone
  if (bytesTotal === undefined || bytesTotal <= 0) return `${state} ${bytes(bytesDone)}, ${rate}`
  return `${state} ${Math.min(100, Math.floor((100 * bytesDone) / bytesTotal))} %, ${rate}`
}

function cellsOf(row: MemberRow, depth: number): readonly Cell[] {
  const name = depth === 0 ? row.member : `${'  '.repeat(depth - 1)}+ ${row.member}`
  const isPrimary = row.role === 'primary'
  return [
    toned(name, isPrimary ? 'bold' : undefined),
    `${row.host}:${row.port}`,
    toned(row.role, isPrimary ? 'good' : undefined),
    toned(row.state, stateTone(row.state)),
    row.timeline === undefined ? '' : String(row.timeline),
    row.lag === undefined ? (hasNoLag(row) ? '' : 'unknown') : bytes(row.lag),
    row.notes.join('; '),
  ]
}

/** Who has nothing to lag with, as opposed to who does not tell. */
function hasNoLag({ role, state }: MemberRow): boolean {
  return (
    ['primary', 'witness'].includes(role) ||
    ['absent', 'initialising', 'cloning', 'rewinding'].includes(state)
  )
}

function stateTone(state: string): Tone | undefined {
  if (state === 'unreachable' || state === 'crashed') return 'bad'
  return ['running', 'streaming', 'voting'].includes(state) ? undefined : 'warning'
}

function footerLine(view: ClusterView): Cell {
  const { consensus, record } = view
  const lease = !record
    ? 'no epoch yet'
    : holderOf(view) === undefined
      ? `epoch ${record.epoch}, nobody holds the lease (last: ${record.holder})`
      : `epoch ${record.epoch}, ${record.holder} holds the lease for ${(view.leaseRemainingMs / SECOND).toFixed(1)} s more`
  const majority = consensus.hasQuorum ? 'quorum' : 'NO QUORUM'
  const leader = consensus.leader === undefined ? 'no leader' : `leader ${consensus.leader}`
  const consensusText = `${consensus.backend}: ${leader}, term ${consensus.term}, ${consensus.voters.length} voters, ${majority}`
  const line = `${lease} | ${consensusText} | seen from ${view.self}`
  return toned(`${line[0]?.toUpperCase()}${line.slice(1)}`, consensus.hasQuorum ? 'dim' : 'bad')
}

function findingLine(finding: ClusterView['findings'][number]): Cell {
  const tone = { info: 'dim', warning: 'warning', critical: 'bad' } as const
  return { text: `${finding.severity}: ${finding.message} (${finding.code})`, tone: tone[finding.severity] }
}

type Placed = { readonly member: MemberView; readonly depth: number }

/** Depth first; a member whose upstream nobody knows, or that streams in a circle, stands at the root. */
function treeOf(view: ClusterView): readonly Placed[] {
  const placed: Placed[] = []
  const left = new Set(view.members)
  const place = (member: MemberView, depth: number) => {
    if (!left.delete(member)) return
    placed.push({ member, depth })
    for (const other of view.members) if (upstreamOf(other, view) === member) place(other, depth + 1)
  }
  const isRoot = (member: MemberView) => upstreamOf(member, view) === undefined
  const primariesFirst = (member: MemberView) => (member.facts.instance.role === 'primary' ? 0 : 1)
  const roots = view.members.filter(isRoot).toSorted((one, two) => primariesFirst(one) - primariesFirst(two))
  for (const member of [...roots, ...view.members]) place(member, 0)
  return placed
}

function upstreamOf(member: MemberView, view: ClusterView): MemberView | undefined {
  const { upstreamHost, upstreamPort, role } = member.facts.instance
  if (role === 'primary' || upstreamHost === undefined) return undefined
  return view.members.find(
    (other) => other !== member && other.facts.host === upstreamHost && other.facts.port === upstreamPort,
  )
}
