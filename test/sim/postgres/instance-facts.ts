import type { InstanceFacts } from '../../../src/model/member.ts'
import type { PostgresHost } from './host.ts'
import { lsnText } from './lsn.ts'
import { between, type Chance, type Range } from './ports.ts'
import type { PostgresServer } from './server.ts'

/** What the adapter itself is doing. */
export type HeldFacts = {
  readonly phase: 'idle' | 'initialising' | 'cloning' | 'rewinding' | 'starting' | 'stopping'
  readonly trouble: string | undefined
  readonly clone: InstanceFacts['clone']
}

const LIVE_MS: Range = [1, 5]
const RESTING_MS: Range = [0.5, 3]
const MEASURE_MS: Range = [4, 20]

/** The words of `src/postgres/facts.ts` for what the model knows. Nothing is made anew while nothing changed. */
export class InstanceFactsReader {
  readonly #host: PostgresHost
  #live:
    | { readonly server: PostgresServer; readonly version: number; readonly facts: InstanceFacts }
    | undefined
  #timelineSeen = 0
  #end: { readonly key: string; readonly timeline: number; readonly endLsn: number } | undefined
  #generation = 0
  #isMeasuring = false

  constructor(host: PostgresHost) {
    this.#host = host
  }

  /** Another server, or none, is there now. */
  forget(): void {
    this.#live = undefined
    this.#timelineSeen = 0
    this.#end = undefined
    this.#generation += 1
  }

  /** How long the question takes, and the answer when that time has come; `undefined`: PostgreSQL does not answer. */
  ask(held: HeldFacts, chance: Chance): { ms: number; read: () => InstanceFacts | undefined } {
    const server = this.#host.server
    if (server?.isPostmasterAlive !== true) {
      const ms = between(chance, RESTING_MS)
      return { ms, read: () => this.#withHeld(held, this.#resting(held, chance)) }
    }
    return { ms: between(chance, LIVE_MS), read: () => this.#ofServer(server, held) }
  }

  unanswered(held: HeldFacts): InstanceFacts {
    const facts: InstanceFacts = { state: 'unknown', trouble: 'Cannot ask PostgreSQL within 1000 ms' }
    const pid = this.#host.server?.pid
    return { ...this.#withHeld(held, facts), ...facts, ...(pid === undefined ? {} : { postmasterPid: pid }) }
  }

  #ofServer(server: PostgresServer, held: HeldFacts): InstanceFacts | undefined {
    if (!server.isPostmasterAlive) {
      const trouble = 'Cannot connect to the local PostgreSQL: the connection ended'
      return { ...this.#withHeld(held, { state: 'unknown' }), trouble, postmasterPid: server.pid }
    }
    if (server.phase !== 'ready') {
      const state = server.phase === 'stopping' ? 'stopping' : 'starting'
      return this.#withHeld(held, { state, postmasterPid: server.pid })
    }
    if (server.isFrozen) return undefined
    const known = this.#live
    if (known === undefined || known.server !== server || known.version !== server.version) {
      if (known?.server !== server) this.#timelineSeen = 0
      this.#live = { server, version: server.version, facts: this.#describe(server) }
    }
    const facts = (this.#live as { facts: InstanceFacts }).facts
    const isStopping = held.phase === 'stopping'
    if (!isStopping && held.trouble === undefined) return facts
    return this.#withHeld(held, isStopping ? { ...facts, state: 'stopping' } : facts)
  }

  #describe(server: PostgresServer): InstanceFacts {
    const { startup, receiver } = server
    const isStandby = startup !== undefined
    const received = server.receivedUpto?.lsn ?? 0
    const replay = server.replayLsn
    const flush = isStandby ? Math.max(received, replay) : replay
    const timeline = isStandby ? standbyTimeline(server, flush) : server.timeline
    this.#timelineSeen = Math.max(this.#timelineSeen, timeline)
    const upstream = receiver?.isShown === true ? receiver.upstream : undefined
    const oldest = server.directory.oldestWal
    const senders = server.senders
      .filter(({ state }) => state !== 'backup' && state !== 'gone')
      .map((sender) => ({
        name: sender.applicationName,
        pid: sender.pid,
        syncPriority: sender.priority,
        state: sender.state === 'stopping' ? 'streaming' : sender.state,
        ...(sender.flushLsn === 0 ? {} : { flushLsn: lsnText(sender.flushLsn) }),
        ...(sender.applyLsn === 0 ? {} : { replayLsn: lsnText(sender.applyLsn) }),
      }))
      .sort((one, other) => (one.name < other.name ? -1 : 1))
    return {
      postmasterPid: server.pid,
      role: isStandby ? 'standby' : 'primary',
      systemId: server.directory.systemId,
      serverVersion: 180_004,
      startedAt: server.startedText,
      timeline: this.#timelineSeen,
      flushLsn: lsnText(flush),
      replayLsn: lsnText(replay),
      ...(oldest === undefined ? {} : { oldestWal: lsnText(oldest) }),
      synchronousNames: server.config.synchronousNames,
      ...(isStandby
        ? {
            streaming: receiver?.state === 'streaming',
            walReplayPaused: startup.isPauseRequested,
          }
        : {}),
      ...(upstream ? { upstreamHost: upstream.host, upstreamPort: upstream.port } : {}),
      ...(isStandby && senders.length === 0 ? {} : { walSenders: senders }),
      state: 'running',
    }
  }

  #resting(held: HeldFacts, chance: Chance): InstanceFacts {
    if (held.phase !== 'idle') return { state: held.phase }
    const { disk } = this.#host
    const { directory } = disk
    if (disk.isForeign || disk.isIncomplete) return { state: 'absent', trouble: 'it was interrupted' }
    if (directory === undefined) return { state: 'absent' }
    const { systemId, timeline, control } = directory
    const key = `${systemId} ${control.checkpointLsn} ${control.state} ${directory.incarnation}`
    if (this.#end?.key !== key) this.#measure(key, chance)
    const end = this.#end?.key === key ? this.#end : undefined
    return {
      state: directory.isClean ? 'stopped' : 'crashed',
      systemId,
      ...(end ? { timeline: end.timeline, flushLsn: lsnText(end.endLsn) } : { timeline }),
    }
  }

  /** The end of WAL takes a while to find: it is there a little later than the rest. */
  #measure(key: string, chance: Chance): void {
    if (this.#isMeasuring) return
    this.#isMeasuring = true
    const generation = this.#generation
    this.#host.after(between(chance, MEASURE_MS), () => {
      this.#isMeasuring = false
      const { directory } = this.#host.disk
      if (generation === this.#generation && directory) this.#end = { key, ...directory.endOfWal() }
    })
  }

  #withHeld(held: HeldFacts, facts: InstanceFacts): InstanceFacts {
    return {
      ...(held.trouble === undefined ? {} : { trouble: held.trouble }),
      ...(held.clone ? { clone: held.clone } : {}),
      ...facts,
    }
  }
}

/** The expression of `src/postgres/facts.ts`: control file, walreceiver, else the newest timeline with that segment. */
function standbyTimeline(server: PostgresServer, lsn: number): number {
  const { directory, receiver } = server
  const known = directory.timeline
  if (receiver?.isShown === true) return Math.max(known, receiver.timeline)
  const byFile = directory.wal.timelines().filter((timeline) => directory.wal.hasSegment(timeline, lsn - 1))
  return Math.max(known, byFile.at(-1) ?? 0)
}
