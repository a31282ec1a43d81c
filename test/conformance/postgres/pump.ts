import { connect, type Socket } from 'node:net'
import { message, MessageReader } from '../../../src/wire/frame.ts'
import { buildStartup } from '../../../src/wire/startup.ts'

const READY = 0x5a
const COMMAND_COMPLETE = 0x43
/** So far that the backend does not run dry while this process is busy elsewhere: a backend that has to wait looks for its postmaster. */
const AHEAD = 5000

/** A client that always has statements under way: what a driver for applications would not do. */
export class Pump {
  readonly #socket: Socket
  readonly #reader = new MessageReader()
  #token: number
  acknowledged = 0

  private constructor(socket: Socket, firstToken: number) {
    this.#socket = socket
    this.#token = firstToken
  }

  static open(options: { port: number; user: string; firstToken: number }): Promise<Pump> {
    const socket = connect({ host: '127.0.0.1', port: options.port, noDelay: true })
    const pump = new Pump(socket, options.firstToken)
    return new Promise((resolve, reject) => {
      let isReady = false
      socket.on('error', reject)
      socket.on('data', (chunk) => {
        pump.#reader.push(chunk)
        for (let next = pump.#reader.next(); next; next = pump.#reader.next()) {
          if (next.type === COMMAND_COMPLETE) pump.#onComplete()
          if (next.type !== READY || isReady) continue
          isReady = true
          for (let ahead = 0; ahead < AHEAD; ahead += 1) pump.#send()
          resolve(pump)
        }
      })
      socket.write(buildStartup({ user: options.user, database: 'postgres' }))
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #onComplete(): void {
    this.acknowledged += 1
    this.#send()
  }

  #send(): void {
    this.#token += 1
    this.#socket.write(message('Q', Buffer.from(`insert into tokens values (${this.#token})\0`)))
  }
}
