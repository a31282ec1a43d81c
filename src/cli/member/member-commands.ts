import type { InviteResult, MemberEntry, MembersDocument, RemoveResult } from '#client'
import { createClient } from '#client'
import { createHttpExchange } from '../../platform/http-client.ts'
import { SECOND } from '../../std/units.ts'
import { visibleText } from '../../std/visible-text.ts'
import { confirm, outcomeUnknown } from '../ask-first.ts'
import { connectCluster, connectForChange } from '../connect.ts'
import { duration } from '../demo/member-words.ts'
import type { Endpoints } from '../endpoints.ts'
import { plainReport, printReport, toned, type Format, type Report } from '../report.ts'
import type { Cell } from '../table.ts'
import type { World } from '../world.ts'

const ANSWER_MS = 2 * SECOND
const LOOK_FIRST = 'It may have happened all the same: look at "pg-metako member list" before trying again'

/** `member list`: who belongs to the cluster and votes in its consensus. */
export async function listMembers(endpoints: Endpoints): Promise<Report> {
  const { client, view } = await connectCluster(endpoints)
  const document = await client.members()
  return membersReport(await withLeadersView(document, view.consensus.leader, endpoints))
}

/** How far a learner is only the agent knows that leads consensus: it is asked too, where it can be. */
async function withLeadersView(
  document: MembersDocument,
  leader: string | undefined,
  endpoints: Endpoints,
): Promise<MembersDocument> {
  const entry = document.members.find(({ name }) => name === leader)
  const hasLearner = document.members.some(({ consensus }) => consensus === 'learner')
  const first = endpoints.list[0]
  if (!entry || !hasLearner || !first || leader === document.self) return document
  const scheme = first.url.startsWith('https:') ? 'https' : 'http'
  const host = entry.apiHost.includes(':') ? `[${entry.apiHost}]` : entry.apiHost
  const client = createClient({
    url: `${scheme}://${host}:${entry.apiPort}`,
    timeoutMs: ANSWER_MS,
    transport: createHttpExchange(first.tls),
  })
  return await client.members().catch(() => document)
}

function membersReport(document: MembersDocument): Report {
  return {
    data: document,
    table: {
      title: `Members: ${document.scope}`,
      columns: [
        { title: 'Member' },
        { title: 'Address' },
        { title: 'Consensus' },
        { title: 'Behind', align: 'right' },
        { title: 'Role' },
        { title: 'State' },
        { title: 'Heard' },
      ],
      rows: document.members.map(cellsOf),
    },
    footer: footerOf(document),
    rows: [
      ['member', 'api_host', 'api_port', 'consensus', 'behind', 'role', 'state', 'heard_ms_ago', 'reachable'],
      ...document.members.map((member) => [
        member.name,
        member.apiHost,
        member.apiPort,
        member.consensus,
        member.behind,
        member.role,
        stateOf(member),
        member.heardMsAgo,
        member.reachable,
      ]),
    ],
  }
}

function cellsOf(member: MemberEntry): readonly Cell[] {
  const isPart = member.consensus === 'leader' || member.consensus === 'voter'
  const state = stateOf(member)
  return [
    toned(member.name, member.role === 'primary' ? 'bold' : undefined),
    addressOf(member),
    toned(member.consensus, isPart ? undefined : 'warning'),
    member.behind === undefined ? '' : String(member.behind),
    toned(member.role ?? '', member.role === 'primary' ? 'good' : undefined),
    toned(state, state === 'unreachable' ? 'bad' : undefined),
    heardOf(member),
  ]
}

function stateOf(member: MemberEntry): string {
  if (member.isLeaving) return 'leaving'
  return member.reachable ? (member.state ?? '') : 'unreachable'
}

function heardOf({ heardMsAgo }: MemberEntry): string {
  if (heardMsAgo === undefined) return 'never'
  return heardMsAgo < SECOND ? 'now' : `${duration(heardMsAgo)} ago`
}

function addressOf({ apiHost, apiPort }: { readonly apiHost: string; readonly apiPort: number }): string {
  return apiHost.includes(':') ? `[${apiHost}]:${apiPort}` : `${apiHost}:${apiPort}`
}

function footerOf(document: MembersDocument): readonly Cell[] {
  const open = document.invitations.filter(({ isUsed }) => !isUsed)
  return [
    ...(document.isRegistered
      ? []
      : [
          {
            text: 'The registry of members was not begun yet: these are of the configuration',
            tone: 'warning',
          } as const,
        ]),
    ...open.map((one) => `Invited: ${one.name} at ${addressOf(one)}, until ${one.expiresAt}`),
    ...document.removed.map(({ name, at }) => ({ text: `Removed: ${name} on ${at}`, tone: 'dim' }) as const),
    { text: `Seen from ${document.self}`, tone: 'dim' },
  ]
}

export type AddOptions = {
  readonly name: string
  readonly apiHost: string
  readonly apiPort: number
  readonly format: Format
}

/** `member add`: invites a node, and prints what to run on it. */
export async function addMember(endpoints: Endpoints, options: AddOptions, world: World): Promise<void> {
  const { client } = await connectForChange(endpoints)
  const { name, apiHost, apiPort } = options
  const invited = await client
    .invite({ name, apiHost, apiPort })
    .catch(outcomeUnknown('The invitation', LOOK_FIRST))
  const command = joinCommand(invited)
  if (options.format !== 'pretty') return printReport(invitedReport(invited, command), options.format, world)
  world.stdout.write(
    [
      `Invited ${visibleText(invited.name)} at ${addressOf({ apiHost, apiPort })}, once, until ${visibleText(invited.expiresAt)}.`,
      'On that host, with this program and PostgreSQL installed:',
      `  ${visibleText(command, 2_000)}`,
      '',
    ].join('\n'),
  )
}

function joinCommand({ urls, token }: InviteResult): string {
  return `pg-metako join --url ${urls.join(',')} --token ${token}`
}

function invitedReport(invited: InviteResult, command: string): Report {
  return plainReport({ ...invited, command }, [
    ['name', 'token', 'expires_at', 'command'],
    [invited.name, invited.token, invited.expiresAt, command],
  ])
}

export type RemoveOptions = { readonly name: string; readonly force: boolean; readonly format: Format }

/** `member remove`: asks, does it, and says what is left. */
export async function removeMember(
  endpoints: Endpoints,
  options: RemoveOptions,
  world: World,
): Promise<void> {
  const { client } = await connectForChange(endpoints)
  const { name } = options
  if (!options.force) {
    const shown = membersReport(await client.members())
    const question = `Remove "${visibleText(name)}" from the cluster?`
    await confirm({ whether: 'remove a member', shown, question }, world)
  }
  const result = await client.removeMember(name).catch(outcomeUnknown('The removal', LOOK_FIRST))
  if (options.format !== 'pretty') return printReport(removedReport(result), options.format, world)
  world.stdout.write(removedText(result))
}

function removedText(result: RemoveResult): string {
  const shown = visibleText(result.name)
  const lines = [
    result.consensus === 'done'
      ? `Removed ${shown}: it is out of consensus, stops its PostgreSQL and keeps its data.`
      : `Removed ${shown}; consensus has not let it go yet: see "pg-metako member list".`,
    `Members now: ${visibleText(result.remaining.join(', '), 1_000)}.`,
    ...(result.remaining.length === 2
      ? ['Two members: the loss of either one stops all writes. Add a third with "pg-metako member add".']
      : []),
  ]
  return `${lines.join('\n')}\n`
}

function removedReport(result: RemoveResult): Report {
  return plainReport(result, [
    ['name', 'removed_at', 'consensus', 'remaining'],
    [result.name, result.removedAt, result.consensus, result.remaining.join(',')],
  ])
}
