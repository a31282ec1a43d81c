import type { Connection } from './connection.ts'
import type { ReplicationMessage, ReplicationRefusal, ReplicationRequest } from './messages.ts'
import { between } from './ports.ts'
import type { PostgresServer } from './server.ts'
import { parseSynchronousNames, priorityOf, type SynchronousNames } from './synchronous-names.ts'

type Request = Extract<ReplicationRequest, { kind: 'start-replication' }>

/** A standby says at least this often where it is. */
const STATUS_MS = 1000
const BACKUP_PARTS = 4

/** Serves one standby or one base backup. */
export class WalSender {
  readonly #server: PostgresServer
  readonly #connection: Connection<ReplicationRequest, ReplicationMessage>
  readonly applicationName: string
  readonly pid: number
  state: 'startup' | 'backup' | 'streaming' | 'stopping' | 'gone' = 'startup'
  /** The names in `synchronous_standby_names` as this process has read them, and its own place among them. */
  names: SynchronousNames | undefined
  priority = 0
  slotName: string | undefined
  timeline = 0
  sentLsn = 0
  /** What the standby said last. */
  writeLsn = 0
  flushLsn = 0
  applyLsn = 0
  /** A timeline that ended: where. */
  #switchLsn = Number.POSITIVE_INFINITY
  #cancelTimeout: (() => void) | undefined

  constructor(
    server: PostgresServer,
    connection: Connection<ReplicationRequest, ReplicationMessage>,
    applicationName: string,
  ) {
    this.#server = server
    this.#connection = connection
    this.applicationName = applicationName
    this.pid = server.nextChild()
    this.#readNames()
    connection.attachServer({
      received: this.#received,
      closed: () => this.exit(),
      quiet: () => this.#peerQuiet(),
      heard: () => this.#peerHeard(),
    })
  }

  readonly #received = (request: ReplicationRequest): void => {
    if (this.state === 'gone' || this.#server.holds(() => this.#received(request))) return
    switch (request.kind) {
      case 'start-replication':
        this.#start(request)
        return
      case 'reply':
        this.#reply(request)
        return
      case 'base-backup':
        this.#backup(request.systemId)
    }
  }

  #start(request: Request): void {
    const { directory } = this.#server
    const own = this.#server.timeline
    const refusal = this.#refusalOf(request)
    if (refusal !== 'system-id' && refusal !== 'timeline-behind') this.#sendHistories(request)
    if (refusal !== undefined) {
      this.#fail(refusal)
      return
    }
    this.timeline = request.timeline
    const history = directory.historyOf(own) ?? []
    const link = history.find((one) => one.timeline === request.timeline)
    if (request.timeline !== own) this.#switchLsn = link?.endLsn ?? 0
    this.slotName = request.slotName
    const slot = this.slotName === undefined ? undefined : directory.slots.get(this.slotName)
    if (slot) slot.isActive = true
    this.sentLsn = request.lsn
    this.state = 'streaming'
    this.#server.changed()
    this.#connection.sendDown({ kind: 'started' })
    this.wake()
  }

  /** Of all timelines from the requested one to the own one that the receiver lacks. */
  #sendHistories(request: Request): void {
    const own = this.#server.timeline
    const histories = [...this.#server.directory.histories]
      .filter(
        ([timeline]) => timeline >= request.timeline && timeline <= own && !request.hasHistory(timeline),
      )
      .map(([timeline, links]) => ({ timeline, links }))
    if (histories.length > 0) this.#connection.sendDown({ kind: 'histories', histories })
  }

  #refusalOf(request: Request): ReplicationRefusal | undefined {
    const server = this.#server
    const { directory } = server
    if (request.systemId !== directory.systemId) return 'system-id'
    if (server.timeline < request.timeline) return 'timeline-behind'
    if (request.slotName !== undefined) {
      const slot = directory.slots.get(request.slotName)
      if (slot === undefined) return 'slot-missing'
      if (slot.isActive) return 'slot-active'
      if (slot.isLost) return 'slot-lost'
    }
    if (request.timeline !== server.timeline) {
      const link = directory.historyOf(server.timeline)?.find((one) => one.timeline === request.timeline)
      if (link === undefined || link.endLsn < request.lsn) return 'not-in-history'
    } else if (request.lsn > server.sendLimit()) return 'ahead'
    const { oldestWal } = directory
    if (oldestWal !== undefined && request.lsn < oldestWal) return 'wal-removed'
    return undefined
  }

  #fail(reason: ReplicationRefusal): void {
    const message = `replication is refused: ${reason}`
    this.#connection.sendDown({ kind: 'failed', reason, message })
    this.exit()
  }

  /** Sends what is flushed here and was not sent yet. */
  wake(): void {
    if (this.state !== 'streaming' && this.state !== 'stopping') return
    const limit = Math.min(this.#switchLsn, this.#server.sendLimit())
    if (limit > this.sentLsn) {
      const { wal } = this.#server.directory
      const all = wal.of(this.timeline)
      const from = wal.indexAt(this.timeline, this.sentLsn)
      let to = from
      while (to < all.length && (all[to]?.end ?? 0) <= limit) to += 1
      this.sentLsn = limit
      this.#connection.sendDown({ kind: 'wal', records: all.slice(from, to), endLsn: limit })
    }
    if (this.sentLsn >= this.#switchLsn) {
      this.#connection.sendDown({ kind: 'end-of-timeline' })
      this.exit()
    }
  }

  /** This server writes another timeline now: what was streamed ends where that one began. */
  endTimeline(switchLsn: number): void {
    if (this.state !== 'streaming') return
    this.#switchLsn = switchLsn
    this.wake()
  }

  #reply(reply: Extract<ReplicationRequest, { kind: 'reply' }>): void {
    this.writeLsn = reply.writeLsn
    this.flushLsn = reply.flushLsn
    this.applyLsn = reply.applyLsn
    const slot = this.slotName === undefined ? undefined : this.#server.directory.slots.get(this.slotName)
    if (slot) slot.restartLsn = reply.flushLsn
    this.#server.changed()
    this.#server.syncRep.releaseFor(this)
    if (this.state === 'stopping') this.#endIfDrained()
  }

  /** SIGHUP. Commits that wait under the old names are looked at again with the standby's next report. */
  reload(): void {
    this.#readNames()
    if (!this.#server.syncRep.hasWaiters) return
    const { clock, chance } = this.#server
    clock.at(clock.now + STATUS_MS * chance.next(), this.#status)
  }

  readonly #status = (): void => {
    if (this.state === 'gone' || this.#server.holds(this.#status) || this.#cancelTimeout) return
    this.#server.syncRep.releaseFor(this)
  }

  #readNames(): void {
    this.names = parseSynchronousNames(this.#server.config.synchronousNames)
    this.priority = priorityOf(this.names, this.applicationName)
  }

  /** The shutdown checkpoint is written: the standby gets it, and says so, before this process ends. */
  stop(): void {
    if (this.state !== 'streaming') {
      this.exit()
      return
    }
    this.wake()
    this.state = 'stopping'
    this.#endIfDrained()
  }

  #endIfDrained(): void {
    const acknowledged = this.flushLsn > 0 ? this.flushLsn : this.writeLsn
    if (this.sentLsn >= this.#server.sendLimit() && acknowledged === this.sentLsn) this.exit()
  }

  #backup(systemId: string | undefined): void {
    const { clock, chance, timings, directory } = this.#server
    if (systemId !== undefined && systemId !== directory.systemId) {
      this.#fail('system-id')
      return
    }
    this.state = 'backup'
    const { timeline } = this.#server
    clock.at(clock.now + between(chance, timings.backupStartMs), () => {
      if (this.#isBackupOver(timeline)) return
      this.#server.checkpointer.checkpoint(() => this.#copy(1, timeline))
    })
  }

  #copy(part: number, timeline: number): void {
    const { clock, timings, directory } = this.#server
    const { redo, checkpointLsn } = directory.control
    const bytesTotal = directory.bytes
    const run = (): void => {
      if (this.#isBackupOver(timeline) || this.#server.holds(run)) return
      const bytesDone = Math.round((bytesTotal * part) / BACKUP_PARTS)
      this.#connection.sendDown({ kind: 'backup-part', bytesDone, bytesTotal })
      if (part < BACKUP_PARTS) {
        this.#copy(part + 1, timeline)
        return
      }
      const endLsn = this.#server.backupEnd()
      const copy = directory.copyForBackup({ redo, checkpointLsn, timeline, endLsn })
      this.#connection.sendDown({ kind: 'backup-done', directory: copy, bytes: bytesTotal })
      this.exit()
    }
    clock.at(clock.now + bytesTotal / BACKUP_PARTS / timings.backupBytesPerMs, run)
  }

  #isBackupOver(timeline: number): boolean {
    if (this.state === 'gone') return true
    if (this.#server.timeline === timeline && this.#server.phase === 'ready') return false
    this.exit()
    return true
  }

  #peerQuiet(): void {
    if (this.state === 'gone' || this.#cancelTimeout) return
    const { clock, chance, config } = this.#server
    // A standby that is heard says something every second: the last word may be that old already.
    const left = config.walSenderTimeoutMs - Math.min(STATUS_MS, config.walSenderTimeoutMs) * chance.next()
    const end = (): void => {
      if (!this.#server.holds(end)) this.exit()
    }
    this.#cancelTimeout = clock.at(clock.now + left, end)
  }

  #peerHeard(): void {
    this.#cancelTimeout?.()
    this.#cancelTimeout = undefined
  }

  exit(): void {
    if (this.state === 'gone') return
    this.vanish()
    this.#server.senderGone(this)
  }

  /** Without a word to the server, which dies itself. */
  vanish(): void {
    this.state = 'gone'
    this.#cancelTimeout?.()
    const slot = this.slotName === undefined ? undefined : this.#server.directory.slots.get(this.slotName)
    if (slot) slot.isActive = false
    this.#connection.closeServer()
  }
}
