import { createClient, type Client } from '#client'
import { createHttpExchange } from '../../platform/http-client.ts'
import type { Endpoints } from '../endpoints.ts'
import type { World } from '../world.ts'
import type { Seen } from './members.ts'
import { refuse } from './output.ts'

export type CtlContext = {
  readonly endpoints: Endpoints
  readonly cluster?: string | undefined
  readonly world: World
}

/** The cluster as the member sees it that is asked; another name than its own is a mistake. */
export async function seenThrough(client: Client, cluster: string | undefined): Promise<Seen> {
  const [document, view] = await Promise.all([client.cluster(), client.view()])
  if (cluster !== undefined && cluster !== document.scope)
    refuse(`Cluster "${cluster}" is not the one that this config leads to: that is "${document.scope}"`)
  return { document, view }
}

export type MembersOptions = {
  readonly names: readonly string[]
  readonly force: boolean
  readonly role?: string | undefined
}

/** Of the member's own agent, with whatever token is known here. */
export function clientOf(
  name: string,
  { view }: Seen,
  { client, endpoints }: { readonly client: Client; readonly endpoints: Endpoints },
): Client {
  if (name === view.self) return client
  const member = view.members.find(({ facts }) => facts.name === name)
  const [known] = endpoints.list.filter(({ token }) => token !== undefined)
  return createClient({
    url: member?.facts.apiUrl ?? '',
    transport: createHttpExchange(known?.tls),
    ...(known?.token === undefined ? {} : { token: known.token }),
  })
}
