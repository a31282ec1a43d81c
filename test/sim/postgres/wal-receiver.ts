import type { Connection } from './connection.ts'
import type { SyncOutcome } from './disk.ts'
import { segmentStart } from './lsn.ts'
import type { ReplicationMessage, ReplicationRequest } from './messages.ts'
import { between, type Address } from './ports.ts'
import type { PostgresServer } from './server.ts'

/** The walreceiver of a standby: a process, also while `pg_stat_wal_receiver` shows nothing yet (safety.md M5). */
export class WalReceiver {
  readonly #server: PostgresServer
  readonly upstream: Address
  readonly timeline: number
  readonly #fromLsn: number
  #connection: Connection<ReplicationRequest, ReplicationMessage> | undefined
  #cancelConnect: (() => void) | undefined
  #cancelTimeout: (() => void) | undefined
  /** `requested`: the postmaster has not forked it yet. `connecting` counts as streaming inside PostgreSQL. */
  state: 'requested' | 'connecting' | 'streaming' | 'waiting' | 'gone' = 'requested'
  /** The upstream has answered: only now the view has a row. */
  isShown = false
  #writtenLsn: number
  #flushedLsn: number
  #isFlushing = false

  constructor(server: PostgresServer, request: { upstream: Address; timeline: number; lsn: number }) {
    this.#server = server
    this.upstream = request.upstream
    this.timeline = request.timeline
    const { segmentBytes } = server.directory.wal
    this.#fromLsn = segmentStart(request.lsn, segmentBytes)
    this.#writtenLsn = server.replayLsn
    this.#flushedLsn = server.replayLsn
    const upto = server.receivedUpto
    if (upto === undefined || upto.timeline !== this.timeline) {
      // RequestXLogStreaming: after a restart the position begins at the start of a segment, below replay (safety.md M6).
      server.receivedUpto = { lsn: this.#fromLsn, timeline: this.timeline }
    }
    const { clock, chance, timings } = server
    clock.at(clock.now + between(chance, timings.forkMs), this.#connect)
  }

  readonly #connect = (): void => {
    if (this.state === 'gone' || this.#server.holdsPostmaster(this.#connect)) return
    this.state = 'connecting'
    this.#server.changed()
    const { host, clock, config } = this.#server
    const giveUp = (): void => {
      if (this.state !== 'gone' && !this.#server.holds(giveUp)) this.exit()
    }
    const cancelTimer = clock.at(clock.now + config.connectTimeoutMs, giveUp)
    const cancelAttempt = host.world.open<ReplicationRequest, ReplicationMessage>(
      {
        from: { host: host.name, isAwake: () => !this.#server.isFrozen },
        to: this.upstream,
        startup: { kind: 'replication', applicationName: config.applicationName },
      },
      {
        opened: (connection) => {
          cancelTimer()
          this.#opened(connection)
        },
        refused: () => {
          cancelTimer()
          this.#refused()
        },
      },
    )
    this.#cancelConnect = () => {
      cancelTimer()
      cancelAttempt()
    }
  }

  readonly #refused = (): void => {
    if (this.state !== 'gone' && !this.#server.holds(this.#refused)) this.exit()
  }

  #opened(connection: Connection<ReplicationRequest, ReplicationMessage>): void {
    if (this.state === 'gone') {
      connection.closeOpener()
      return
    }
    if (this.#server.holds(() => this.#opened(connection))) return
    this.#cancelConnect = undefined
    this.#connection = connection
    this.isShown = true
    this.#server.changed()
    const { directory, config } = this.#server
    connection.attachOpener({
      received: this.#received,
      closed: this.#refused,
      quiet: () => this.#peerQuiet(),
      heard: () => this.#peerHeard(),
    })
    connection.sendUp({
      kind: 'start-replication',
      systemId: directory.systemId,
      timeline: this.timeline,
      lsn: this.#fromLsn,
      slotName: config.slotName,
      hasHistory: (timeline) => directory.histories.has(timeline),
    })
  }

  readonly #received = (message: ReplicationMessage): void => {
    if (this.state === 'gone' || this.#server.holds(() => this.#received(message))) return
    switch (message.kind) {
      case 'histories':
        for (const { timeline, links } of message.histories) {
          this.#server.directory.histories.set(timeline, links)
        }
        return
      case 'started':
        this.state = 'streaming'
        this.#server.changed()
        this.reply()
        return
      case 'wal':
        this.#write(message)
        return
      case 'end-of-timeline':
        this.state = 'waiting'
        this.#keepWritten()
        this.#server.startup?.wake()
        return
      default:
        this.exit()
    }
  }

  #write(message: Extract<ReplicationMessage, { kind: 'wal' }>): void {
    this.#server.directory.receive(this.timeline, message.records)
    if (message.endLsn <= this.#flushedLsn) {
      // It counts from what was replayed when it began: WAL before that moves no position, so that after a restart the receive
      // position stays at the start of a segment until something new is written (XLogWalRcvFlush, safety.md M6).
      this.reply()
      return
    }
    this.#writtenLsn = message.endLsn
    this.#flush()
  }

  #flush(): void {
    if (this.#isFlushing) return
    this.#isFlushing = true
    const target = this.#writtenLsn
    this.#server.host.disk.sync((outcome) => this.#synced(target, outcome))
  }

  #synced(target: number, outcome: SyncOutcome): void {
    if (outcome === 'done') this.#server.directory.keepFlushed(this.timeline, target)
    this.#continueAfter(target, outcome)
  }

  #continueAfter(target: number, outcome: SyncOutcome): void {
    if (this.state === 'gone' || this.#server.isDead) return
    if (this.#server.holds(() => this.#continueAfter(target, outcome))) return
    this.#isFlushing = false
    if (outcome === 'io-error') {
      this.#server.crash('PANIC: could not fsync WAL')
      return
    }
    this.#flushedLsn = target
    this.#server.received(this.timeline, target)
    this.reply()
    if (this.#writtenLsn > target) this.#flush()
  }

  /** Tells the primary how far everything is. */
  reply(): void {
    if (this.state !== 'streaming' && this.state !== 'waiting') return
    this.#connection?.sendUp({
      kind: 'reply',
      writeLsn: this.#writtenLsn,
      flushLsn: this.#flushedLsn,
      applyLsn: this.#server.replayLsn,
    })
  }

  /** SIGTERM: gone a moment later. */
  terminate(): void {
    const { clock, chance, timings } = this.#server
    const end = (): void => {
      if (this.state !== 'gone' && !this.#server.holds(end)) this.exit()
    }
    clock.at(clock.now + between(chance, timings.exitMs), end)
  }

  exit(): void {
    if (this.state === 'gone') return
    this.#keepWritten()
    this.vanish()
    this.#server.receiverGone(this)
  }

  vanish(): void {
    this.losePower()
    this.#connection?.closeOpener()
  }

  /** Without a packet; what it had asked for is nobody's any more. */
  losePower(): void {
    this.state = 'gone'
    this.#cancelConnect?.()
    this.#cancelTimeout?.()
  }

  /** On its way out it flushes what it wrote. */
  #keepWritten(): void {
    if (this.#writtenLsn <= this.#flushedLsn || !this.isShown) return
    this.#flushedLsn = this.#writtenLsn
    this.#server.directory.keepFlushed(this.timeline, this.#writtenLsn)
    this.#server.received(this.timeline, this.#writtenLsn)
  }

  #peerQuiet(): void {
    if (this.state === 'gone' || this.#cancelTimeout) return
    const { clock, chance, config } = this.#server
    // It asks for an answer after half the time, so that the last word may be that old already.
    const left = config.walReceiverTimeoutMs * (1 - chance.next() / 2)
    this.#cancelTimeout = clock.at(clock.now + left, this.#refused)
  }

  #peerHeard(): void {
    this.#cancelTimeout?.()
    this.#cancelTimeout = undefined
  }
}
