import { connect, type Socket } from 'node:net'
import { md5Password } from '../../src/auth/md5-password.ts'
import { md5Hex } from '../../src/platform/hash.ts'
import { parseAuthentication, passwordBody } from '../../src/wire/authentication.ts'
import { message, MessageReader, messageType } from '../../src/wire/frame.ts'
import { buildStartup } from '../../src/wire/startup.ts'
import {
  below,
  clientMessage,
  mutate,
  pick,
  proofMessage,
  randomBytes,
  startupPacket,
  type Random,
} from './messages.ts'

/** Whom the hostile clients are where they log in: by md5, since it costs them nothing. */
export const HOSTILE = { user: 'hostile', password: 'hostile secret', database: 'app' }

export type HostileResult = {
  readonly kind: string
  readonly messages: number
  /** `refused`: with an ErrorResponse. `open`: it was still open at its limit, which is a violation. */
  readonly end: 'refused' | 'closed' | 'open'
}

/** Beyond every limit of the router's for who says nothing (10 s), proves nothing (20 s here) or does not take its last words. */
const LIMIT_MS = 45_000
const READ_AHEAD_MS = 50
const BATCH = 50
const COMMANDS = [
  ...['show help', 'show pools', 'show clients', 'show servers', 'show stats', 'show config', 'show lists'],
  ...[
    'pause',
    'resume',
    'kill app',
    'reload',
    'set x = 1',
    'select 1',
    'show nothing',
    '',
    "show 'pools",
    'shutdown',
  ],
] as const
const HOST = '127.0.0.1'
const ERROR = messageType('E')
const AUTHENTICATION = messageType('R')
const READY = messageType('Z')

/** A socket, and what came on it so far. */
class Line {
  readonly socket: Socket
  readonly #reader = new MessageReader()
  #isClosed = false
  #wasRefused = false
  #notify: () => void = () => {}
  messages = 0

  constructor(port: number) {
    this.socket = connect({ host: HOST, port, noDelay: true, allowHalfOpen: true })
    this.socket.on('error', () => {})
    this.socket.on('close', () => {
      this.#isClosed = true
      this.#notify()
    })
    // The other side has ended: that is all that is wanted of it.
    this.socket.on('end', () => {
      this.#isClosed = true
      this.#notify()
    })
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  send(...all: readonly Buffer[]): void {
    this.messages += all.length
    if (this.socket.writable) this.socket.write(Buffer.concat(all))
  }

  /** Reads until a message of this type, the end, or the limit. */
  async until(type: number, limitMs: number): Promise<Buffer | undefined> {
    let found: Buffer | undefined
    await this.#wait(limitMs, () => {
      for (let next = this.#next(); next && !found; next = this.#next()) {
        if (next.type === ERROR) this.#wasRefused = true
        if (next.type === type) found = next.body
      }
      return found !== undefined
    })
    return found
  }

  async end(kind: string): Promise<HostileResult> {
    await this.until(-1, LIMIT_MS)
    const end = this.#isClosed ? (this.#wasRefused ? 'refused' : 'closed') : 'open'
    this.socket.destroy()
    return { kind, messages: this.messages, end }
  }

  /** The first byte of an answer to a request for encryption is no message. */
  #next(): { readonly type: number; readonly body: Buffer } | undefined {
    try {
      return this.#reader.next()
    } catch {
      return undefined
    }
  }

  async #wait(limitMs: number, isDone: () => boolean): Promise<void> {
    const onData = (chunk: Buffer): void => {
      this.#reader.push(chunk)
      this.#notify()
    }
    this.socket.on('data', onData)
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, limitMs)
      this.#notify = () => {
        if (!isDone() && !this.#isClosed) return
        clearTimeout(timer)
        resolve()
      }
      this.#notify()
    })
    this.#notify = () => {}
    this.socket.off('data', onData)
  }
}

async function loggedIn(port: number, database = HOSTILE.database): Promise<Line> {
  const line = new Line(port)
  line.send(buildStartup({ user: HOSTILE.user, database }))
  const asked = parseAuthentication((await line.until(AUTHENTICATION, LIMIT_MS)) ?? Buffer.alloc(0))
  if (asked?.kind !== 'md5') return line
  line.send(message('p', passwordBody(md5Password({ ...HOSTILE, salt: asked.salt, md5Hex }))))
  await line.until(READY, LIMIT_MS)
  return line
}

type Attack = (port: number, random: Random) => Promise<HostileResult>

/** In pieces, perhaps byte by byte; whether there is room is asked as nobody polite would not. */
async function dribble(line: Line, bytes: Buffer, longest: number): Promise<void> {
  for (let at = 0; at < bytes.length && line.socket.writable; at += longest) {
    line.socket.write(bytes.subarray(at, at + longest))
    await new Promise((resolve) => setImmediate(resolve))
  }
}

function leave(line: Line, random: Random): void {
  const way = below(random, 4)
  if (way === 0) line.socket.resetAndDestroy()
  else if (way === 1) line.send(message('X', Buffer.alloc(0)))
  else line.socket.end()
}

const attacks: Readonly<Record<string, Attack>> = {
  /** A first packet that is none. */
  startup: async (port, random) => {
    const line = new Line(port)
    const packet = mutate(random, startupPacket(random))
    line.messages += 1
    await dribble(line, packet, pick(random, [1, 5, 100_000]))
    if (random() < 0.5) line.send(randomBytes(random, below(random, 200)))
    await line.until(-1, READ_AHEAD_MS)
    leave(line, random)
    return line.end('startup')
  },
  /** Says half of what it wants, or nothing, and stays. */
  'half open': async (port, random) => {
    const line = new Line(port)
    const packet = startupPacket(random)
    line.send(packet.subarray(0, below(random, packet.length)))
    return line.end('half open')
  },
  /** Proves something else. */
  proof: async (port, random) => {
    const line = new Line(port)
    line.send(buildStartup({ user: pick(random, ['app', HOSTILE.user, 'nobody']), database: 'app' }))
    await line.until(AUTHENTICATION, LIMIT_MS)
    line.send(...Array.from({ length: 1 + below(random, 3) }, () => mutate(random, proofMessage(random))))
    await line.until(-1, READ_AHEAD_MS)
    leave(line, random)
    return line.end('proof')
  },
  /** Logs in, and says what comes to its mind. */
  session: async (port, random) => {
    const line = await loggedIn(port)
    const share = pick(random, [0, 0.001, 0.01, 0.2])
    for (let left = below(random, 1500); left > 0 && !line.isClosed; left -= BATCH) {
      const batch = Array.from({ length: BATCH }, () => {
        const original = clientMessage(random)
        return random() < share ? mutate(random, original) : original
      })
      line.send(...batch)
      await line.until(READY, READ_AHEAD_MS)
    }
    leave(line, random)
    return line.end('session')
  },
  /** Logs in to the pooler's console, where there is one, and says what is no command of it. */
  console: async (port, random) => {
    const line = await loggedIn(port, 'pgbouncer')
    for (let left = 40; left > 0 && !line.isClosed; left -= 1) {
      const command = message('Q', Buffer.from(`${pick(random, COMMANDS)}\0`))
      const original = random() < 0.7 ? command : clientMessage(random)
      line.send(random() < 0.05 ? mutate(random, original) : original)
    }
    await line.until(-1, READ_AHEAD_MS)
    leave(line, random)
    return line.end('console')
  },
  /** One message, byte by byte, and away in its middle. */
  slow: async (port, random) => {
    const line = await loggedIn(port)
    const bytes = Buffer.concat(Array.from({ length: 6 }, () => clientMessage(random)))
    line.messages += 6
    await dribble(line, bytes.subarray(0, below(random, bytes.length)), 1)
    leave(line, random)
    return line.end('slow')
  },
  /** Announces more than anybody takes. */
  oversized: async (port, random) => {
    const line = await loggedIn(port)
    const head = Buffer.alloc(5)
    head[0] = messageType(pick(random, ['P', 'B', 'Q', 'd', 'C', 'D']))
    head.writeInt32BE(pick(random, [17 * 1024 * 1024, 0x3fff_ffff, 0x7fff_ffff, -5]), 1)
    line.send(Buffer.concat([head, Buffer.alloc(20_000, 'a')]))
    await line.until(-1, READ_AHEAD_MS)
    leave(line, random)
    return line.end('oversized')
  },
  /** Asks for much, and reads nothing before it leaves. */
  'no reader': async (port, random) => {
    const line = await loggedIn(port)
    const text = "select repeat('x', 1000) from generate_series(1, 20000)\0"
    line.send(message('Q', Buffer.from(text)), message('S', Buffer.alloc(0)))
    line.socket.pause()
    await new Promise((resolve) => setTimeout(resolve, 4 * READ_AHEAD_MS))
    if (random() < 0.5) line.socket.resetAndDestroy()
    else line.socket.end().resume()
    return line.end('no reader')
  },
  /** Opens many connections and says nothing on them. */
  flood: async (port) => {
    const lines = Array.from({ length: 40 }, () => new Line(port))
    await Promise.all(lines.map((line) => line.until(-1, READ_AHEAD_MS)))
    for (const line of lines) line.socket.end()
    const ends = await Promise.all(lines.map((line) => line.end('flood')))
    return { kind: 'flood', messages: 0, end: ends.some(({ end }) => end === 'open') ? 'open' : 'closed' }
  },
}

const ORDER = [
  'console',
  ...['startup', 'startup', 'proof', 'session', 'session', 'session', 'session', 'slow', 'oversized'],
  ...['no reader', 'flood', 'half open'],
] as const

/** `isPatient`: also those that only the router's limits end, after seconds. */
export function attack(port: number, random: Random, isPatient: boolean): Promise<HostileResult> {
  const kind = pick(random, isPatient ? ORDER : ORDER.slice(0, -1))
  const act = attacks[kind]
  if (!act) throw new Error(`no attack ${kind}`)
  return act(port, random)
}
