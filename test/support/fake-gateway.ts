import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

type Answer = (response: ServerResponse) => void

/** One endpoint of etcd's gateway that answers as it is told, and remembers what it was asked. */
export type FakeGateway = {
  readonly url: string
  readonly asked: { readonly path: string; readonly body: string }[]
  /** What comes for a path from now on; by default a good answer of an empty cluster. */
  on(path: string, answer: Answer): void
  transactions(): number
  close(): void
}

const PATHS = { range: '/v3/kv/range', txn: '/v3/kv/txn', authenticate: '/v3/auth/authenticate' } as const

export const silence: Answer = () => {}
export const hangUp: Answer = (response) => response.destroy()
export const ok =
  (body: unknown): Answer =>
  (response) => {
    response.end(JSON.stringify(body))
  }
export const refusal =
  (status: number, message: string): Answer =>
  (response) => {
    response.writeHead(status)
    response.end(JSON.stringify({ error: message, message, code: 14 }))
  }
export const headerOf = (revision: number, clusterId = '1') => ({
  header: { cluster_id: clusterId, revision: String(revision), raft_term: '1' },
})

export async function startFakeGateway(): Promise<FakeGateway> {
  const asked: { path: string; body: string }[] = []
  const answers = new Map<string, Answer>([
    [PATHS.range, ok(headerOf(5))],
    [PATHS.txn, ok({ ...headerOf(6), succeeded: true, responses: [{ response_put: {} }] })],
    [PATHS.authenticate, ok({ token: 'token' })],
  ])
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8')
    request.on('data', (text: string) => (body += text))
    request.on('end', () => {
      const path = request.url ?? ''
      asked.push({ path, body })
      const answer = answers.get(path) ?? refusal(404, 'unknown')
      answer(response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    on: (path, answer) => void answers.set(path, answer),
    transactions: () => asked.filter(({ path }) => path === PATHS.txn).length,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}
