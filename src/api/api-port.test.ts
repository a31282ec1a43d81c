import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { connect } from '../platform/net.ts'
import { openApiPort, type ApiPort } from './api-port.ts'

describe('the port of the API', () => {
  let port: ApiPort
  let url: string

  beforeEach(async () => {
    port = openApiPort({ host: '127.0.0.1', port: 0 })
    port.onUpgrade('peer', (socket) => socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n'))
    url = `http://127.0.0.1:${(await port.listen()).port}/`
  })

  afterEach(() => port.stop())

  it('answers who asked before there was an API, and everybody after that', async () => {
    const early = [fetch(url), fetch(url)]
    port.answerWith((_request, response) => response.end('here'))
    const answers = await Promise.all([...early, fetch(url)].map(async (one) => (await one).text()))
    expect(answers).toEqual(['here', 'here', 'here'])
  })

  it('lets other agents in before there is an API', async () => {
    const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port) })
    socket.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: peer\r\n\r\n')
    const [head] = (await new Promise((resolve) => socket.once('data', (data) => resolve([data])))) as [
      Buffer,
    ]
    expect(head.toString()).toContain('101 Switching Protocols')
    socket.destroy()
  })

  it('keeps no endless line of requests that nobody answers yet', async () => {
    const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port) })
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    socket.on('error', () => undefined).resume()
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(1001))
    await closed
    expect(socket.destroyed).toBe(true)
  })
})
