import type { Connection } from './connection.ts'
import type { ClientMessage, Rows, ServerMessage, StatementError } from './messages.ts'
import type { Address, SynchronousCommit } from './ports.ts'
import type { PostgresWorld, Refusal } from './world.ts'

/** `lost`: the connection ended before the answer came, so the outcome is unknown. Nothing comes at all while a path is silent. */
export type InsertOutcome =
  | { readonly kind: 'complete'; readonly lsn: number; readonly xid: number; readonly warned: boolean }
  | StatementError
  | { readonly kind: 'lost' }

export type ReadOutcome = Rows | StatementError | { readonly kind: 'lost' }

export type SessionRequest = {
  /** Name of the host of the client; any name is good. */
  readonly from: string
  readonly to: Address
  /** `synchronous_commit` of the session. */
  readonly level?: SynchronousCommit
}

/** Opens a session. Exactly one callback comes, or none while nothing answers; the result gives the attempt up. */
export function connectClient(
  world: PostgresWorld,
  request: SessionRequest,
  opening: {
    readonly opened: (session: ClientSession) => void
    readonly refused: (why: Refusal) => void
  },
): () => void {
  return world.open<ClientMessage, ServerMessage>(
    {
      from: { host: request.from, isAwake: () => true },
      to: request.to,
      startup: { kind: 'client', level: request.level ?? 'on' },
    },
    {
      opened: (connection) => opening.opened(new ClientSession(world, connection)),
      refused: opening.refused,
    },
  )
}

type Answer = (answer: ServerMessage | { readonly kind: 'lost' }) => void

/** One connection of a client. Statements may be sent before earlier ones are answered: then they are pipelined. */
export class ClientSession {
  readonly #world: PostgresWorld
  readonly connection: Connection<ClientMessage, ServerMessage>
  readonly #waiting: Answer[] = []
  isOpen = true
  /** Called once when the server's end is gone. */
  onLost: (() => void) | undefined

  constructor(world: PostgresWorld, connection: Connection<ClientMessage, ServerMessage>) {
    this.#world = world
    this.connection = connection
    connection.attachOpener({
      received: (message) => this.#waiting.shift()?.(message),
      closed: () => this.#end(),
    })
  }

  insert(
    token: number,
    done: (outcome: InsertOutcome) => void,
    options: { level?: SynchronousCommit } = {},
  ): void {
    this.#send({ kind: 'insert', token, level: options.level }, done as Answer)
  }

  read(done: (outcome: ReadOutcome) => void): void {
    this.#send({ kind: 'read' }, done as Answer)
  }

  /** Opens a transaction that holds up the replay of exclusive locks. */
  hold(done: () => void = () => undefined): void {
    this.#send({ kind: 'hold' }, done)
  }

  release(done: () => void = () => undefined): void {
    this.#send({ kind: 'release' }, done)
  }

  /** Commits what takes an exclusive lock where it is replayed. */
  lockTable(token: number, done: (outcome: InsertOutcome) => void): void {
    this.#send({ kind: 'lock', token }, done as Answer)
  }

  /** A cancel request, on a connection of its own. */
  cancel(): void {
    this.#world.cancelRequest(this.connection)
  }

  /** Gives the connection up; nothing is answered any more. */
  close(): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.#waiting.length = 0
    this.connection.closeOpener()
  }

  #send(message: ClientMessage, answer: Answer): void {
    if (!this.isOpen) {
      answer({ kind: 'lost' })
      return
    }
    this.#waiting.push(answer)
    this.connection.sendUp(message)
  }

  #end(): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.connection.closeOpener()
    for (const answer of this.#waiting.splice(0)) answer({ kind: 'lost' })
    this.onLost?.()
  }
}
