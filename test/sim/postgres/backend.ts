import type { Connection } from './connection.ts'
import type { ClientMessage, ServerMessage } from './messages.ts'
import type { SynchronousCommit } from './ports.ts'
import type { PostgresServer } from './server.ts'
import type { SyncMode } from './sync-rep.ts'
import type { WalRecord } from './wal.ts'

type State = 'idle' | 'flushing' | 'waiting-for-standbys' | 'gone'

/** Chance that a full disk has still room within the table's last page. */
const ROOM_WHEN_FULL = 0.3

/** A backend of one client: a statement at a time, further ones wait in its socket. */
export class Backend {
  readonly #server: PostgresServer
  readonly connection: Connection<ClientMessage, ServerMessage>
  readonly #level: SynchronousCommit
  #queue: ClientMessage[] = []
  state: State = 'idle'
  /** End of the commit record of the running statement. */
  commitLsn = 0
  #record: WalRecord | undefined
  #recordLevel: SynchronousCommit = 'on'
  #isCancelled = false
  #isTerminated = false
  /** In a transaction that blocks replay of exclusive locks. */
  isReader = false

  constructor(
    server: PostgresServer,
    connection: Connection<ClientMessage, ServerMessage>,
    level: SynchronousCommit,
  ) {
    this.#server = server
    this.connection = connection
    this.#level = level
    connection.attachServer({ received: this.#received, closed: this.#closed })
  }

  readonly #received = (message: ClientMessage): void => {
    if (this.state === 'gone' || this.#server.holds(() => this.#received(message))) return
    this.#queue.push(message)
    if (this.state === 'idle') this.#next()
  }

  /** The client is gone: a backend that waits for it ends, one that works notices later. */
  readonly #closed = (): void => {
    if (this.state === 'gone' || this.#server.holds(this.#closed)) return
    if (this.state === 'idle') this.exit()
    else this.#isTerminated = true
  }

  #next(): void {
    this.#isCancelled = false
    while (this.state === 'idle') {
      const message = this.#queue.shift()
      if (message === undefined) {
        // Only a backend that has to wait for its client looks whether the postmaster is alive (safety.md M8, M9).
        if (this.#isTerminated || !this.#server.isPostmasterAlive) this.exit()
        return
      }
      this.#run(message)
    }
  }

  #run(message: ClientMessage): void {
    const server = this.#server
    switch (message.kind) {
      case 'insert':
        this.#commit(message, message.level ?? this.#level)
        return
      case 'lock':
        this.#commit(message, this.#level)
        return
      case 'read':
        this.connection.sendDown({
          kind: 'rows',
          host: server.host.name,
          incarnation: server.directory.incarnation,
          timeline: server.timeline,
          isInRecovery: server.isInRecovery,
          tokens: server.visible,
          count: server.visible.length,
        })
        return
      case 'hold':
        this.isReader = true
        this.connection.sendDown({ kind: 'done' })
        return
      case 'release':
        this.connection.sendDown({ kind: 'done' })
        this.#endReading()
    }
  }

  #commit(message: ClientMessage & { readonly token: number }, level: SynchronousCommit): void {
    const server = this.#server
    const { writer } = server
    if (server.isInRecovery || writer === undefined) {
      this.#fail('25006', 'cannot execute INSERT in a read-only transaction')
      return
    }
    if (server.host.disk.fault?.kind === 'full') {
      if (writer.needsNewSegment) {
        server.crash('PANIC: could not write to file "pg_wal/xlogtemp": No space left on device')
        return
      }
      if (server.chance.next() >= ROOM_WHEN_FULL) {
        this.#fail('53100', 'could not extend file: No space left on device')
        return
      }
    }
    const record = writer.append(message.kind === 'lock' ? 'lock' : 'commit', { token: message.token })
    this.#record = record
    this.#recordLevel = level
    this.commitLsn = record.end
    if (level === 'off') {
      writer.flushSoon()
      this.#complete(false)
      return
    }
    this.state = 'flushing'
    writer.waitFor(this)
  }

  /** The commit is durable here. */
  flushed(): void {
    if (this.state !== 'flushing') return
    const mode = modeOf(this.#recordLevel)
    if (mode === undefined || !this.#server.syncRep.enqueue(this, mode)) {
      this.#complete(false)
      return
    }
    this.state = 'waiting-for-standbys'
    if (this.#isTerminated) this.terminate()
    else if (!this.#server.isPostmasterAlive) this.exit()
    else if (this.#isCancelled) this.cancel()
  }

  /** Enough standbys have it, or nobody asks for standbys any more. */
  released(): void {
    if (this.state === 'waiting-for-standbys') this.#complete(false)
  }

  /** A cancel request. A commit that waits for standbys is not undone by it: it warns, and says that it is complete. */
  cancel(): void {
    if (this.state === 'flushing') this.#isCancelled = true
    if (this.state !== 'waiting-for-standbys') return
    this.#server.syncRep.leave(this)
    this.#complete(true)
  }

  /** pg_terminate_backend, or a shutdown. A commit that waits for standbys stays, and is seen; the client hears nothing. */
  terminate(): void {
    if (this.state === 'flushing') this.#isTerminated = true
    else this.exit()
  }

  /** The process ends. */
  exit(): void {
    if (this.state === 'gone') return
    const wasWaiting = this.state === 'waiting-for-standbys'
    this.state = 'gone'
    if (wasWaiting) {
      this.#server.syncRep.leave(this)
      if (this.#record) this.#server.show(this.#record)
    }
    this.connection.closeServer()
    this.#endReading()
    this.#server.backendGone(this)
  }

  /** SIGKILL of everything: no more than what the kernel does. */
  vanish(): void {
    this.state = 'gone'
    this.connection.closeServer()
  }

  #complete(warned: boolean): void {
    const record = this.#record as WalRecord
    this.#record = undefined
    this.state = 'idle'
    this.#server.show(record)
    this.#server.acknowledge(record, { level: this.#recordLevel, warned })
    this.connection.sendDown({ kind: 'complete', lsn: record.end, xid: record.xid, warned })
    this.#next()
  }

  #fail(sqlState: string, message: string): void {
    this.connection.sendDown({ kind: 'error', sqlState, message })
  }

  #endReading(): void {
    if (!this.isReader) return
    this.isReader = false
    this.#server.startup?.readerGone()
  }
}

function modeOf(level: SynchronousCommit): SyncMode | undefined {
  switch (level) {
    case 'on':
      return 'flush'
    case 'remote_write':
      return 'write'
    case 'remote_apply':
      return 'apply'
    default:
      return undefined
  }
}
