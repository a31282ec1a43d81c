import type { ClientSession } from '../../sim/postgres/client-session.ts'
import type { PostgresConfig } from '../../sim/postgres/data-directory.ts'
import type { PostgresHost } from '../../sim/postgres/host.ts'
import type { ReplicationMessage, ReplicationRequest } from '../../sim/postgres/messages.ts'
import { Stage } from '../../sim/postgres/stage.ts'
import type { Deed, Driver, Question, Setting, SimpleDeed, Upstream } from './script.ts'

const PUMP_AHEAD = 20
const LOOP_STATEMENTS = 5000
const LOOK_MS = 250

type Session = { readonly client: ClientSession; readonly on: string; state: string }

/** Scripts on the model. */
export class ModelDriver implements Driver {
  readonly #stage: Stage
  readonly #sessions = new Map<string, Session>()
  readonly #acknowledged = new Map<string, number>()
  readonly #rows = new Map<string, number>()
  #answer = ''

  private constructor(stage: Stage) {
    this.#stage = stage
  }

  static async create(hosts: readonly string[], seed: number): Promise<ModelDriver> {
    const stage = new Stage({ seed })
    const options = { config: { maxStandbyDelayMs: 60_000 }, segmentBytes: 1024 * 1024 }
    for (const name of hosts) stage.addHost(name, options)
    stage.addHost('refusing')
    stage.addHost('silent').host.losePower()
    await stage.cluster(hosts)
    // Nobody clears up behind PostgreSQL here: what it does by itself is asked.
    stage.dismissAgents()
    return new ModelDriver(stage)
  }

  now(): number {
    return this.#stage.time.now
  }

  pass(ms: number): Promise<void> {
    return this.#stage.pass(ms)
  }

  async carryOut(deed: Deed): Promise<void> {
    switch (deed.do) {
      case 'send':
        return this.#send(deed)
      case 'insert':
        return this.#insert(deed.on, deed.tokens)
      case 'cancel':
        this.#session(deed.session).client.cancel()
        return
      case 'terminate': {
        const { client, on } = this.#session(deed.session)
        this.#host(on).terminateBackend(client)
        return
      }
      case 'kill-backend': {
        const { client, on } = this.#session(deed.session)
        this.#host(on).killBackend(client)
        return
      }
      case 'pump':
        return this.#pump(deed)
      case 'loop':
        return this.#loop(deed)
      case 'hold-reader': {
        const { client } = await this.#open(deed.session, deed.on)
        await this.#stage.finish(new Promise<void>((resolve) => client.hold(resolve)))
        return
      }
      case 'lock-table': {
        const client = await this.#stage.connect(deed.on)
        await this.#stage.finish(new Promise((resolve) => client.lockTable(deed.token, resolve)))
        return
      }
      case 'end-readers':
        this.#host(deed.on).terminateReaders()
        return
      case 'remember-rows':
        this.#rows.set(deed.on, (await this.#stage.tokens(deed.on)).length)
        return
      case 'set':
        this.#host(deed.on).configure(settingOf(deed.setting, deed.value))
        return
      case 'point':
        this.#point(deed.on, deed.at)
        this.#host(deed.on).configure({ applicationName: deed.as ?? deed.on })
        return
      case 'start':
        if (deed.at !== undefined) this.#point(deed.on, deed.at)
        return this.#start(deed.on)
      case 'clone':
        return this.#clone(deed)
      case 'put-history':
        this.#host(deed.on).disk.directory?.histories.set(deed.timeline, [{ timeline: 1, endLsn: 40 }])
        return
      case 'make-slot':
        this.#host(deed.on).makeSlot(deed.slot)
        return
      case 'fill-wal':
        for (let segment = 0; segment < deed.segments; segment += 1) this.#host(deed.on).switchWal()
        return
      case 'rewind':
        this.#answer = this.#host(deed.on).rewindFrom(this.#host(deed.source))
        return
      default:
        return this.#simple(deed.do, this.#host(deed.on))
    }
  }

  async #simple(deed: SimpleDeed, host: PostgresHost): Promise<void> {
    switch (deed) {
      case 'reload':
        host.reload()
        // As with real PostgreSQL, a script may count on it that a new session sees the new value.
        return this.#stage.pass(5)
      case 'pause-replay':
        host.pauseReplay()
        return
      case 'resume-replay':
        host.resumeReplay()
        return
      case 'promote':
        host.requestPromotion()
        return
      case 'kill-postmaster':
        host.killPostmaster()
        return
      case 'kill-all':
        host.killAll()
        return
      case 'freeze':
        host.freeze(true)
        return
      case 'thaw':
        host.freeze(false)
        return
      case 'freeze-postmaster':
        host.freezePostmaster(true)
        return
      case 'thaw-postmaster':
        host.freezePostmaster(false)
        return
      case 'signal-promotion':
        host.server?.startup?.promote()
        return
      case 'stall-checkpointer':
        host.stallCheckpointer(true)
        return
      case 'release-checkpointer':
        host.stallCheckpointer(false)
        return
      case 'shut-down':
        host.shutDown()
        return
      case 'checkpoint':
        await this.#stage.finish(
          new Promise<void>((resolve) => host.server?.checkpointer.checkpoint(resolve)),
        )
        return
      case 'terminate-walreceiver':
        host.terminateWalReceiver()
        return
      case 'terminate-walreceiver-by-sql':
        this.#answer = String(host.terminateWalReceiverBySql())
        return
      case 'put-standby-signal':
      case 'remove-standby-signal':
        if (host.disk.directory) host.disk.directory.standbySignal = deed === 'put-standby-signal'
    }
  }

  async answer(question: Question): Promise<string> {
    switch (question.ask) {
      case 'walreceiver':
        return this.#host(question.on).hasWalReceiver ? 'there' : 'gone'
      case 'walreceiver-row':
        return this.#host(question.on).server?.receiver?.isShown === true ? 'there' : 'none'
      case 'receive-lsn': {
        const server = this.#host(question.on).server
        if (server?.receivedUpto === undefined) return 'null'
        return server.receivedUpto.lsn < server.replayLsn ? 'below replay' : 'at replay or above'
      }
      case 'streams': {
        const receiver = this.#host(question.on).server?.receiver
        const isFrom = receiver?.upstream.host === question.from
        return receiver?.state === 'streaming' && isFrom ? 'yes' : 'no'
      }
      case 'role':
        return this.#role(this.#host(question.on))
      case 'timeline': {
        const { server } = this.#host(question.on)
        return String(Math.max(server?.timeline ?? 0, server?.receiver?.timeline ?? 0))
      }
      case 'statement':
        return this.#session(question.session).state
      case 'acknowledgements': {
        const before = this.#acknowledged.get(question.session) ?? 0
        await this.#stage.pass(LOOK_MS)
        return (this.#acknowledged.get(question.session) ?? 0) > before ? 'growing' : 'still'
      }
      case 'rows':
        return this.#rowsOf(question.on)
      case 'rows-remembered': {
        const count = (await this.#stage.tokens(question.on)).length
        return count > (this.#rows.get(question.on) ?? 0) ? 'more' : 'the same'
      }
      case 'processes':
        return this.#host(question.on).server === undefined ? 'none' : 'some'
      case 'replay': {
        const state = this.#host(question.on).server?.startup?.state
        if (state === 'paused') return 'paused'
        if (state === 'waiting-to-retry') return 'asleep'
        return state === 'conflict' ? 'blocked' : 'free'
      }
      case 'same-end': {
        const end = this.#host(question.on).disk.directory?.endOfWal().endLsn
        const { server } = this.#host(question.as)
        return end === Math.max(server?.receivedUpto?.lsn ?? 0, server?.replayLsn ?? 0) ? 'yes' : 'no'
      }
      case 'same-history': {
        const one = this.#history(question.on)
        return one === this.#history(question.as) ? 'yes' : `no: ${one} and ${this.#history(question.as)}`
      }
      case 'slot': {
        const slot = this.#host(question.on).disk.directory?.slots.get(question.slot)
        if (slot === undefined) return 'absent'
        return slot.isLost ? 'lost' : 'kept'
      }
      case 'standby-signal':
        return this.#host(question.on).disk.directory?.standbySignal === true ? 'there' : 'absent'
      case 'answer':
        return this.#answer
    }
  }

  #role({ server }: PostgresHost): string {
    if (server?.isPostmasterAlive !== true) return 'down'
    if (server.phase !== 'ready' || server.isFrozen) return 'no answer'
    return server.isInRecovery ? 'standby' : 'primary'
  }

  async #rowsOf(on: string): Promise<string> {
    const { server } = this.#host(on)
    if (server?.isPostmasterAlive !== true || server.phase !== 'ready') return 'no answer'
    const tokens = await this.#stage.tokens(on)
    return tokens.toSorted((one, other) => one - other).join(' ')
  }

  #history(on: string): string {
    const { disk, server } = this.#host(on)
    const { directory } = disk
    const timeline = server?.timeline ?? directory?.timeline ?? 0
    return JSON.stringify([timeline, directory?.historyOf(timeline)])
  }

  #host(name: string): PostgresHost {
    return this.#stage.host(name)
  }

  #session(name: string): Session {
    const session = this.#sessions.get(name)
    if (session === undefined) throw new Error(`No session "${name}"`)
    return session
  }

  async #open(name: string, on: string): Promise<Session> {
    const known = this.#sessions.get(name)
    if (known) return known
    const session = { client: await this.#stage.connect(on), on, state: 'idle' }
    this.#sessions.set(name, session)
    return session
  }

  async #send(deed: Extract<Deed, { do: 'send' }>): Promise<void> {
    const session = await this.#open(deed.session, deed.on)
    session.state = 'waiting'
    session.client.insert(deed.token, (outcome) => {
      if (outcome.kind === 'error') session.state = `error ${outcome.sqlState}`
      else if (outcome.kind === 'complete' && outcome.warned) session.state = 'warned'
      else session.state = outcome.kind
    })
  }

  async #insert(on: string, tokens: readonly number[]): Promise<void> {
    const client = await this.#stage.connect(on)
    for (const token of tokens) {
      const outcome = await this.#stage.insert(client, token)
      if (outcome.kind !== 'complete' || outcome.warned) throw new Error(`insert: ${JSON.stringify(outcome)}`)
    }
    client.close()
  }

  async #pump(deed: { readonly session: string; readonly on: string }): Promise<void> {
    const { client } = await this.#open(deed.session, deed.on)
    let token = 1000
    const sendOn = (): void => {
      token += 1
      client.insert(token, (outcome) => {
        if (outcome.kind !== 'complete') return
        this.#acknowledged.set(deed.session, (this.#acknowledged.get(deed.session) ?? 0) + 1)
        sendOn()
      })
    }
    for (let ahead = 0; ahead < PUMP_AHEAD; ahead += 1) sendOn()
  }

  async #loop(deed: { readonly session: string; readonly on: string }): Promise<void> {
    const { client } = await this.#open(deed.session, deed.on)
    for (let count = 0; count < LOOP_STATEMENTS; count += 1) client.insert(1000 + count, () => undefined)
  }

  #point(on: string, at: Upstream): void {
    const upstream = at === 'nobody' ? undefined : this.#host(at).address
    this.#host(on).configure({ upstream })
  }

  #start(on: string): Promise<void> {
    return this.#stage.finish(
      new Promise((resolve, reject) => {
        this.#host(on).start((end) => (end.kind === 'ready' ? resolve() : reject(new Error(end.message))))
      }),
    )
  }

  async #clone(deed: Extract<Deed, { do: 'clone' }>): Promise<void> {
    const host = this.#host(deed.on)
    host.killAll()
    await this.#stage.finish(
      new Promise<void>((resolve, reject) => {
        const owner = { host: host.name, isAwake: () => true }
        const startup = { kind: 'replication', applicationName: host.name } as const
        this.#stage.world.open<ReplicationRequest, ReplicationMessage>(
          { from: owner, to: this.#host(deed.from).address, startup },
          {
            refused: (why) => reject(new Error(why)),
            opened: (connection) => {
              connection.attachOpener({
                closed: () => undefined,
                received: (message) => {
                  if (message.kind !== 'backup-done') return
                  host.disk.directory = message.directory
                  resolve()
                },
              })
              connection.sendUp({ kind: 'base-backup', systemId: undefined })
            },
          },
        )
      }),
    )
  }
}

function settingOf(setting: Setting, value: string): Partial<PostgresConfig> {
  switch (setting) {
    case 'synchronous_standby_names':
      return { synchronousNames: value }
    case 'wal_retrieve_retry_interval':
      return { walRetrieveRetryMs: amountOf(value) }
    case 'max_slot_wal_keep_size':
      return { maxSlotWalKeepBytes: amountOf(value) }
    case 'wal_keep_size':
      return { walKeepBytes: amountOf(value) }
    case 'primary_slot_name':
      return { slotName: value === '' ? undefined : value }
  }
}

function amountOf(value: string): number {
  const number = Number.parseInt(value, 10)
  if (value.endsWith('MB')) return number * 1024 * 1024
  return value.endsWith('s') && !value.endsWith('ms') ? number * 1000 : number
}
