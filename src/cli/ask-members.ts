import { ClientError, createClient, type Client, type ClusterView } from '#client'
import { createHttpExchange } from '../platform/http-client.ts'
import type { Connection } from './connect.ts'
import type { Endpoints } from './endpoints.ts'

export type MemberAnswer<Document> =
  | { readonly kind: 'answered'; readonly name: string; readonly document: Document }
  | { readonly kind: 'failed'; readonly name: string; readonly error: ClientError }

/** Asks every member about itself, all at once, each at the address that it tells the others. In the order of their names. */
export async function askMembers<Document>(
  { client, view }: Connection,
  endpoints: Endpoints,
  how: { readonly timeoutMs: number; readonly ask: (client: Client) => Promise<Document> },
): Promise<readonly MemberAnswer<Document>[]> {
  return await Promise.all(
    view.members.map(async ({ facts: { name, apiUrl } }): Promise<MemberAnswer<Document>> => {
      // Who drew the picture has answered where we found it.
      const member = name === view.self ? client : clientOf(apiUrl, { endpoints, timeoutMs: how.timeoutMs })
      try {
        return { kind: 'answered', name, document: await how.ask(member) }
      } catch (error) {
        if (error instanceof ClientError) return { kind: 'failed', name, error }
        throw error
      }
    }),
  )
}

function clientOf(url: string, about: { readonly endpoints: Endpoints; readonly timeoutMs: number }): Client {
  const { list } = about.endpoints
  const tls = list.find((endpoint) => endpoint.tls !== undefined)?.tls
  const token = tokenFor(url, list)
  return createClient({
    url,
    timeoutMs: about.timeoutMs,
    transport: createHttpExchange(tls),
    ...(token === undefined ? {} : { token }),
  })
}

/** A token that all endpoints have opens every member; one of a state folder opens its own node alone. */
function tokenFor(url: string, list: Endpoints['list']): string | undefined {
  const [first] = list
  const isShared = list.every(({ token }) => token === first?.token)
  return isShared ? first?.token : list.find((endpoint) => isSameUrl(endpoint.url, url))?.token
}

function isSameUrl(one: string, other: string): boolean {
  return new URL(one).origin === new URL(other).origin
}

/** The members that did not answer, and why. */
export function failuresOf(answers: readonly MemberAnswer<unknown>[]): readonly string[] {
  return answers.flatMap((one) => (one.kind === 'failed' ? [`${one.name}: ${one.error.message}`] : []))
}

export function primaryOf({ record }: ClusterView): string | undefined {
  return record && record.state !== 'released' ? record.holder : undefined
}
