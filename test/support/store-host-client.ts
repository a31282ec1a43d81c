import { connect, type Socket } from 'node:net'
import type { Transaction, TransactionResult } from '../../src/model/key-value.ts'
import { Fault } from '../../src/std/fault.ts'
import type { StoreRead, StoreStatus } from '../../src/store/store.ts'
import type { StoreReply, StoreRequest } from './store-host-protocol.ts'

type Unsent = StoreRequest extends infer Request
  ? Request extends unknown
    ? Omit<Request, 'id'>
    : never
  : never
type Waiting = { readonly resolve: (reply: StoreReply) => void; readonly reject: (fault: Fault) => void }

/** After the store's own deadline: a host that is stopped answers nothing at all. */
const ANSWER_SLACK_MS = 500

/**
 * One client's connection to a store host, made anew when it is broken. What was written to a connection that broke has an
 * unknown outcome; what could not be written certainly has none.
 */
export class StoreHostClient {
  readonly #path: string
  readonly #waiting = new Map<number, Waiting>()
  #socket: Socket | undefined
  #count = 0

  constructor(path: string) {
    this.#path = path
  }

  async read(prefix: string, { deadlineMs }: { readonly deadlineMs: number }): Promise<StoreRead> {
    const reply = await this.#ask({ kind: 'read', prefix, deadlineMs }, deadlineMs)
    if (reply.kind !== 'read') throw unexpected(reply)
    return reply.read
  }

  async transact(
    transaction: Transaction,
    { deadlineMs }: { readonly deadlineMs: number },
  ): Promise<TransactionResult> {
    const reply = await this.#ask({ kind: 'transact', transaction, deadlineMs }, deadlineMs)
    if (reply.kind !== 'done') throw unexpected(reply)
    return reply.result
  }

  async status(): Promise<StoreStatus> {
    const reply = await this.#ask({ kind: 'status' }, 500)
    if (reply.kind !== 'status') throw unexpected(reply)
    return reply.status
  }

  close(): void {
    this.#socket?.destroy()
  }

  async #ask(request: Unsent, deadlineMs: number): Promise<StoreReply> {
    const socket = await this.#connected()
    this.#count += 1
    const id = this.#count
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id)
        reject(new Fault('STORE_OUTCOME_UNKNOWN', 'the host did not answer'))
      }, deadlineMs + ANSWER_SLACK_MS)
      const done = () => {
        clearTimeout(timer)
        this.#waiting.delete(id)
      }
      this.#waiting.set(id, {
        resolve(reply) {
          done()
          if (reply.kind === 'failed')
            reject(new Fault(reply.code, reply.message, { details: { ...reply.details } }))
          else resolve(reply)
        },
        reject(fault) {
          done()
          reject(fault)
        },
      })
      socket.write(`${JSON.stringify({ ...request, id })}\n`)
    })
  }

  async #connected(): Promise<Socket> {
    if (this.#socket !== undefined && !this.#socket.destroyed) return this.#socket
    const socket = connect(this.#path)
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', () => resolve())
      socket.once('error', (error) =>
        reject(new Fault('STORE_NO_QUORUM', error.message, { details: { applied: false } })),
      )
    })
    socket.removeAllListeners('error')
    this.#socket = socket
    let rest = ''
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const reply = JSON.parse(line) as StoreReply
        this.#waiting.get(reply.id)?.resolve(reply)
      }
    })
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      for (const { reject } of [...this.#waiting.values()]) {
        reject(new Fault('STORE_OUTCOME_UNKNOWN', 'the connection to the host broke'))
      }
    })
    return socket
  }
}

function unexpected(reply: StoreReply): Error {
  return new Error(`Cannot use the host's reply: ${JSON.stringify(reply)}`)
}
