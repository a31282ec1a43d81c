import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { ClientError } from './client-error.ts'
import { createClient } from './create-client.ts'

let server: Server | undefined

async function serve(listener: RequestListener): Promise<string> {
  server = createServer(listener)
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

afterEach(async () => {
  server?.closeAllConnections()
  await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)))
  server = undefined
})

async function errorOf(call: Promise<unknown>): Promise<ClientError> {
  const error: unknown = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof ClientError)) throw new Error(`Wanted a ClientError, got ${String(error)}`)
  return error
}

const problem = (status: number, fields: object): RequestListener => {
  return (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/problem+json; charset=utf-8' })
    response.end(JSON.stringify({ type: 'about:blank', title: 'x', status, ...fields }))
  }
}

describe('the API client', () => {
  it('reads documents and sends the token', async () => {
    const seen: string[] = []
    const url = await serve((request, response) => {
      seen.push(`${request.method} ${request.url} ${request.headers.authorization}`)
      response.end(JSON.stringify({ scope: 'main', members: [], history: [], consensus: {} }))
    })
    const client = createClient({ url, token: 's3cret' })
    expect((await client.view()).scope).toBe('main')
    expect(seen).toEqual(['GET /v1/cluster Bearer s3cret'])
    expect(client.url.endsWith('/')).toBe(false)
  })

  it('sends a switchover as JSON', async () => {
    const url = await serve((request, response) => {
      let body = ''
      request.on('data', (chunk) => (body += chunk))
      request.on('end', () => {
        const wanted = request.headers['content-type'] === 'application/json' && body === '{"candidate":"n2"}'
        response.writeHead(wanted ? 200 : 400)
        response.end(JSON.stringify({ from: 'n1', to: 'n2', epoch: 2, tookMs: 80 }))
      })
    })
    const result = await createClient({ url }).switchover({ candidate: 'n2' })
    expect(result).toEqual({ from: 'n1', to: 'n2', epoch: 2, tookMs: 80 })
  })

  it('takes the "no" of a health check for an answer', async () => {
    const url = await serve((_request, response) => {
      response.writeHead(503, { 'content-type': 'application/json' })
      response.end('{"state":"running","role":"replica"}')
    })
    const health = await createClient({ url }).check('primary')
    expect(health.healthy).toBe(false)
    expect(health.status?.role).toBe('replica')
  })

  it('tells a refusal from a failure by the status, and passes code and remedy on', async () => {
    const url = await serve(
      problem(412, { code: 'SWITCHOVER_LAGGING', detail: 'Lag is 5.', remedy: 'Wait.' }),
    )
    const refused = await errorOf(createClient({ url }).switchover({}))
    expect(refused).toMatchObject({
      kind: 'refused',
      code: 'SWITCHOVER_LAGGING',
      status: 412,
      remedy: 'Wait.',
    })
    expect(refused.message).toBe('Lag is 5.')
  })

  it('calls a server error a failure', async () => {
    const url = await serve(problem(500, { code: 'API_INTERNAL', detail: 'Broken.' }))
    expect(await errorOf(createClient({ url }).view())).toMatchObject({
      kind: 'failed',
      code: 'API_INTERNAL',
    })
  })

  it('calls a closed port unreachable', async () => {
    const url = await serve((_request, response) => response.end('{}'))
    await new Promise((resolve) => server?.close(resolve))
    server = undefined
    const error = await errorOf(createClient({ url }).view())
    expect(error).toMatchObject({ kind: 'unreachable', code: 'UNREACHABLE' })
    expect(error.message).toContain('ECONNREFUSED')
  })

  it('gives up when no answer comes in time', async () => {
    const url = await serve(() => undefined)
    const error = await errorOf(createClient({ url, timeoutMs: 30 }).view())
    expect(error).toMatchObject({ kind: 'unreachable', code: 'TIMEOUT' })
  })

  it('says so when something else listens there', async () => {
    for (const body of ['<html>hello</html>', '"text"', 'null', '', '{"x":1}']) {
      const url = await serve((_request, response) => response.end(body))
      const error = await errorOf(createClient({ url }).view())
      expect(error).toMatchObject({ kind: 'failed', code: 'ANSWER_NOT_UNDERSTOOD' })
      server?.close()
    }
  })

  it('does not fill the memory with an endless answer', async () => {
    const url = await serve((_request, response) => {
      const chunk = Buffer.alloc(1024 * 1024, 32)
      const more = () => {
        while (response.write(chunk));
      }
      response.on('drain', more)
      more()
    })
    expect(await errorOf(createClient({ url, timeoutMs: 10_000 }).view())).toMatchObject({
      code: 'ANSWER_TOO_LARGE',
    })
  })

  it('carries no token to another host', async () => {
    const url = await serve((_request, response) => {
      response.writeHead(302, { location: 'http://127.0.0.1:1/stolen' })
      response.end()
    })
    const error = await errorOf(createClient({ url, token: 's3cret' }).view())
    expect(`${error.message} ${JSON.stringify(error)}`).not.toContain('s3cret')
    expect(error.message).not.toContain('stolen')
  })

  it('refuses an address that is no URL', () => {
    expect(() => createClient({ url: '10.0.0.1:8008' })).toThrow('wanted http')
    expect(() => createClient({ url: 'ftp://x' })).toThrow('wanted http or https')
  })
})
