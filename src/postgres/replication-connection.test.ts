import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { md5Hex } from '../platform/hash.ts'
import { buildErrorResponse } from '../wire/error-response.ts'
import { message, MessageReader } from '../wire/frame.ts'
import { ReplicationConnection } from './replication-connection.ts'

const READY = message('Z', Buffer.from('I'))
const authentication = (code: number, rest: Buffer = Buffer.alloc(0)) => {
  const head = Buffer.alloc(4)
  head.writeInt32BE(code)
  return message('R', Buffer.concat([head, rest]))
}

/** A server that answers the startup packet, then each message, with the next of `answers`. */
class ScriptedServer {
  readonly received: string[] = []
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  constructor(answers: readonly (Buffer | 'hang up' | 'silence')[]) {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket)
      socket.on('error', () => {})
      const script = [...answers]
      const reader = new MessageReader()
      let isStarted = false
      const answer = () => {
        const next = script.shift()
        if (next === 'hang up') socket.destroy()
        else if (next instanceof Buffer) socket.write(next)
      }
      socket.on('data', (chunk: Buffer) => {
        if (!isStarted) {
          isStarted = true
          this.received.push(chunk.toString('latin1'))
          return answer()
        }
        reader.push(chunk)
        for (let next = reader.next(); next; next = reader.next()) {
          this.received.push(next.body.toString('latin1'))
          answer()
        }
      })
    })
  }

  async open(options: { silenceMs?: number; signal?: AbortSignal } = {}) {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    const { port } = this.#server.address() as AddressInfo
    return ReplicationConnection.open(
      { host: '127.0.0.1', port, user: 'repl', password: 'secret', applicationName: 'n1' },
      { connectTimeoutMs: 2000, ...options },
    )
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
  }
}

describe('a replication connection', () => {
  let server: ScriptedServer
  afterEach(() => server.close())
  const scripted = (...answers: readonly (Buffer | 'hang up' | 'silence')[]) => {
    server = new ScriptedServer(answers)
    return server
  }

  it('logs in with md5 and in clear where the server asks for that, and says that it replicates', async () => {
    const salt = Buffer.from([1, 2, 3, 4])
    const connection = await scripted(
      authentication(5, salt),
      Buffer.concat([authentication(0), READY]),
    ).open()
    connection.close()
    expect(server.received[0]).toContain('replication\0true\0')
    expect(server.received[1]).toBe(`md5${md5Hex(md5Hex('secret', 'repl'), salt)}\0`)
    server.close()
    const clear = await scripted(authentication(3), Buffer.concat([authentication(0), READY])).open()
    clear.close()
    expect(server.received[1]).toBe('secret\0')
  })

  it("passes the server's refusal on in its own words", async () => {
    const refusal = buildErrorResponse({
      S: 'FATAL',
      C: '28000',
      M: 'no pg_hba.conf entry',
      H: 'ask the owner',
    })
    await expect(scripted(refusal).open()).rejects.toMatchObject({
      code: 'REPLICATION_REFUSED',
      message: expect.stringContaining('no pg_hba.conf entry'),
      details: { sqlState: '28000', hint: 'ask the owner' },
    })
  })

  it('does not log in by a method that it does not know, nor at a server that fails to prove itself', async () => {
    const refused = { code: 'REPLICATION_REFUSED' }
    await expect(scripted(authentication(7)).open()).rejects.toMatchObject(refused)
    server.close()
    const plus = authentication(10, Buffer.from('SCRAM-SHA-256-PLUS\0\0'))
    await expect(scripted(plus).open()).rejects.toMatchObject(refused)
    server.close()
    const scram = authentication(10, Buffer.from('SCRAM-SHA-256\0\0'))
    const foreign = authentication(11, Buffer.from('r=somebodyelse,s=AAAA,i=4096'))
    await expect(scripted(scram, foreign).open()).rejects.toMatchObject(refused)
  })

  it('gives a server up that hangs up or says nothing', async () => {
    const lost = { code: 'REPLICATION_LOST', retryable: true }
    await expect(scripted('hang up').open()).rejects.toMatchObject(lost)
    server.close()
    await expect(scripted('silence').open({ silenceMs: 50 })).rejects.toMatchObject(lost)
    server.close()
    const cut = new AbortController()
    const opening = scripted('silence').open({ signal: cut.signal })
    cut.abort()
    await expect(opening).rejects.toMatchObject(lost)
  })

  it('says whom it cannot reach', async () => {
    server = new ScriptedServer([])
    const opening = ReplicationConnection.open(
      { host: '127.0.0.1', port: 1, user: 'u', password: 'p', applicationName: 'n' },
      { connectTimeoutMs: 2000 },
    )
    await expect(opening).rejects.toMatchObject({ code: 'REPLICATION_CONNECT_FAILED' })
  })
})
