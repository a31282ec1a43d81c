import type { ClusterDocument, ClusterView, PatroniMember } from '#client'
import { MiB } from '../../std/units.ts'
import { visibleText } from '../../std/visible-text.ts'
import type { TextSink } from '../world.ts'
import { printTable, type Cell, type CtlFormat } from './output.ts'

const PORT = 5432

/** What the cluster looks like, in Patroni's words; the document and the view are of the same agent. */
export type Seen = { readonly document: ClusterDocument; readonly view: ClusterView }

/** The members as `patronictl list` shows them, and what is worth knowing of the cluster under them. */
export function printMembers(
  { document, view }: Seen,
  { format, isExtended = false }: { readonly format: CtlFormat; readonly isExtended?: boolean },
  sink: TextSink,
): void {
  const { members } = document
  const extra = EXTRAS.filter(({ of }) => isExtended || members.some((member) => of(member) !== ''))
  const hasPorts = needsPorts(members)
  const ordered = format === 'topology' ? topology(members) : members.map((member) => ({ member, depth: 0 }))
  printTable(
    {
      title: ` Cluster: ${document.scope} (${systemIdOf(view)}) `,
      isFirstInTitle: true,
      columns: [
        { title: 'Cluster' },
        { title: 'Member' },
        { title: 'Host' },
        { title: 'Role' },
        { title: 'State' },
        { title: 'TL', align: 'right' },
        { title: 'Lag in MB', align: 'right' },
        ...extra.map(({ title }) => ({ title })),
      ],
      rows: ordered.map(({ member, depth }) => [
        document.scope,
        depth === 0 ? member.name : `+ ${member.name}`,
        hasPorts ? `${member.host}:${member.port}` : member.host,
        roleOf(member),
        member.state,
        member.timeline ?? '',
        lagOf(member),
        ...extra.map(({ of }) => of(member)),
      ]),
    },
    format,
    sink,
  )
  const isForPeople = format === 'pretty' || format === 'topology'
  if (!isForPeople) return
  if (document.pause) sink.write(' Maintenance mode: on\n')
  const { at, from, to } = document.scheduled_switchover ?? {}
  if (at === undefined) return
  sink.write(
    ` Switchover scheduled at: ${visibleText(at)}\n                    from: ${visibleText(from ?? '')}\n`,
  )
  if (to !== undefined) sink.write(`                      to: ${visibleText(to)}\n`)
}

/** What has a column of its own where somebody has it, or where all of it is asked for. */
const EXTRAS: readonly { readonly title: string; readonly of: (member: PatroniMember) => Cell }[] = [
  { title: 'Pending restart', of: (member) => (member.pending_restart ? '*' : '') },
  { title: 'Scheduled restart', of: scheduledRestart },
  { title: 'Tags', of: (member) => member.tags ?? '' },
]

function scheduledRestart({ scheduled_restart: restart }: PatroniMember): Cell {
  if (!restart) return ''
  const { schedule, postgres_version: version } = restart
  return version === undefined ? schedule : `${schedule} if version < ${version}`
}

export function leaderOf({ document }: Seen): PatroniMember | undefined {
  return document.members.find(({ role }) => role === 'leader')
}

function systemIdOf({ record, members }: ClusterView): string {
  const told = members.map(({ facts }) => facts.instance.systemId).find((id) => id !== undefined)
  return record?.systemId || told || (record ? 'initializing' : 'uninitialized')
}

/** A port is shown where one is another than PostgreSQL's own, or where two members share a host. */
function needsPorts(members: readonly PatroniMember[]): boolean {
  return (
    members.some(({ port }) => port !== PORT) ||
    new Set(members.map(({ host }) => host)).size < members.length
  )
}

/** `sync_standby` → `Sync Standby`. */
function roleOf({ role }: PatroniMember): string {
  return role.replaceAll('_', ' ').replaceAll(/\b[a-z]/g, (letter) => letter.toUpperCase())
}

function lagOf({ role, lag }: PatroniMember): Cell {
  if (role === 'leader') return ''
  return typeof lag === 'number' ? Math.round(lag / MiB) : (lag ?? 'unknown')
}

/** The leader, and under it the others: all of them stream from it. */
function topology(
  members: readonly PatroniMember[],
): readonly { readonly member: PatroniMember; readonly depth: number }[] {
  const rank = ({ role }: PatroniMember) => (role === 'leader' ? 0 : 1)
  return members
    .toSorted((one, other) => rank(one) - rank(other))
    .map((member) => ({ member, depth: rank(member) }))
}
