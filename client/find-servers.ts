import { createClient } from './create-client.ts'
import type { PatroniMember } from './patroni-documents.ts'
import type { HttpTransport } from './transport.ts'

/** Longer than an agent needs that is busy; nobody waits for one that is gone for longer. */
const ASK_MS = 2000

/** A PostgreSQL of the cluster. */
export type ServerPlace = { readonly name: string; readonly host: string; readonly port: number }

export type FoundServers = {
  /** Of the member that says of itself that it may take writes now. */
  readonly primary?: ServerPlace
  /** Those that say of themselves that they serve reads. */
  readonly replicas: readonly ServerPlace[]
  /** How the members are reached now: more than one began with, perhaps. */
  readonly apis: readonly string[]
}

/** Asks whoever answers for the members, and each of them what it is: what others say of it may be old. */
export async function findServers(
  apis: readonly string[],
  transport: HttpTransport | undefined,
): Promise<FoundServers> {
  const lists = await Promise.all(
    apis.map((url) =>
      client(url, transport)
        .cluster()
        .then(({ members }) => members)
        .catch((): readonly PatroniMember[] => []),
    ),
  )
  const members = [...new Map(lists.flat().map((member) => [member.name, member])).values()]
  const asked = await Promise.all(members.map((member) => roleOf(member, transport)))
  const placesOf = (role: Role): readonly ServerPlace[] =>
    members
      .filter((_member, index) => asked[index] === role)
      .map(({ name, host, port }) => ({ name, host, port }))
      .toSorted((left, right) => (left.name < right.name ? -1 : 1))
  const [primary] = placesOf('primary')
  return {
    ...(primary ? { primary } : {}),
    replicas: placesOf('replica'),
    apis: [...new Set([...apis, ...members.map(apiOf)])],
  }
}

type Role = 'primary' | 'replica' | 'neither'

async function roleOf(member: PatroniMember, transport: HttpTransport | undefined): Promise<Role> {
  const agent = client(apiOf(member), transport)
  const says = (check: 'primary' | 'replica') =>
    agent.check(check).then(
      ({ healthy }) => healthy,
      () => false,
    )
  const [isPrimary, isReplica] = await Promise.all([says('primary'), says('replica')])
  return isPrimary ? 'primary' : isReplica ? 'replica' : 'neither'
}

/** Members tell Patroni's own form: `http://HOST:PORT/patroni`. */
function apiOf({ api_url: url }: PatroniMember): string {
  return url.replace(/\/patroni\/?$/, '')
}

function client(url: string, transport: HttpTransport | undefined) {
  return createClient({ url, timeoutMs: ASK_MS, ...(transport ? { transport } : {}) })
}
