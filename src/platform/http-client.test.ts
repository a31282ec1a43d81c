import { createServer as createPlain, type RequestListener, type Server } from 'node:http'
import { createServer as createTls } from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { testCertificate, testKey } from '../../test/support/tls-fixture.ts'
import { createHttpExchange } from './http-client.ts'

let server: Server | undefined

async function serve(listener: RequestListener, secure = false): Promise<string> {
  server = secure ? createTls({ key: testKey, cert: testCertificate }, listener) : createPlain(listener)
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  return `${secure ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`
}

afterEach(() => {
  server?.closeAllConnections()
  server?.close()
})

const request = (url: string, changes: { body?: string; maxBytes?: number; timeoutMs?: number } = {}) => ({
  method: changes.body === undefined ? 'GET' : 'POST',
  url,
  headers: { accept: 'application/json' },
  body: changes.body,
  signal: AbortSignal.timeout(changes.timeoutMs ?? 5_000),
  maxBytes: changes.maxBytes ?? 1_000,
})

it('sends a body and reads the answer', async () => {
  const url = await serve((incoming, response) => {
    incoming.on('data', (chunk: Buffer) => {
      response.writeHead(201, { 'content-type': 'Text/Plain; charset=utf-8' })
      response.end(`${incoming.headers['content-length']} ${chunk.toString()}`)
    })
  })
  const answer = await createHttpExchange()(request(url, { body: '값' }))
  expect(answer).toEqual({ status: 201, mediaType: 'text/plain', body: '3 값' })
})

it('trusts a private authority only when it is told to', async () => {
  const url = await serve((_incoming, response) => response.end('{}'), true)
  await expect(createHttpExchange()(request(url))).rejects.toMatchObject({
    code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
  })
  const answer = await createHttpExchange({ ca: testCertificate })(request(url))
  expect(answer.status).toBe(200)
})

it('stops reading where the caller has enough', async () => {
  const url = await serve((_incoming, response) => response.end('x'.repeat(5_000)))
  await expect(createHttpExchange()(request(url))).rejects.toMatchObject({ name: 'TooLarge' })
})

it('rejects when the answer breaks off or does not come', async () => {
  const broken = await serve((_incoming, response) => {
    response.writeHead(200, { 'content-length': 100 })
    response.write('half')
    setImmediate(() => response.destroy())
  })
  await expect(createHttpExchange()(request(broken))).rejects.toThrow(/aborted|closed/)
  server?.close()
  const silent = await serve(() => undefined)
  await expect(createHttpExchange()(request(silent, { timeoutMs: 50 }))).rejects.toThrow('aborted')
})
