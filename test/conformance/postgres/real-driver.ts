import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type pg from 'pg'
import { parseLsn } from '../../../src/model/lsn.ts'
import { readControlFile } from '../../../src/postgres/control-file.ts'
import { endOfWal } from '../../../src/postgres/end-of-wal.ts'
import { findPostmaster } from '../../../src/postgres/postmaster.ts'
import { instanceProcesses } from '../../../src/postgres/process-tree.ts'
import { historyFileName, readTimelineHistory } from '../../../src/postgres/timeline-history.ts'
import { pause } from '../../../src/platform/timers.ts'
import { Pump } from './pump.ts'
import { APP, type RealHosts } from './real-hosts.ts'
import { pidsTitled, signalAll } from './real-processes.ts'
import type { Deed, Driver, Question, SimpleDeed } from './script.ts'

const LOOK_MS = 250
const OWN_FILES = ['postgresql.conf', 'postgresql.auto.conf', 'pg-metako.conf', 'pg_hba.conf']

type Session = { readonly client: pg.Client; readonly pid: number; readonly on: string; state: string }

/** Scripts on real PostgreSQL: plain SQL, files and signals, none of our own deeds. */
export class RealDriver implements Driver {
  readonly #hosts: RealHosts
  readonly #sessions = new Map<string, Session>()
  readonly #pumps = new Map<string, Pump>()
  readonly #rows = new Map<string, number>()
  readonly #stalled: number[] = []
  #answer = ''

  constructor(hosts: RealHosts) {
    this.#hosts = hosts
  }

  now(): number {
    return performance.now()
  }

  async pass(ms: number): Promise<void> {
    await pause(ms)
  }

  /** Lets go of what the script left behind. */
  async end(): Promise<void> {
    signalAll(this.#stalled, 'SIGCONT')
    for (const pump of this.#pumps.values()) pump.close()
    await this.#hosts.killAll()
    for (const { client } of this.#sessions.values()) await client.end().catch(() => undefined)
  }

  async carryOut(deed: Deed): Promise<void> {
    const hosts = this.#hosts
    switch (deed.do) {
      case 'send':
        return this.#send(deed)
      case 'insert': {
        const client = await hosts.connect(deed.on)
        for (const token of deed.tokens) await client.query('insert into tokens values ($1)', [token])
        return client.end()
      }
      case 'cancel':
        return this.#mustAsk(
          this.#session(deed.session).on,
          `select pg_cancel_backend(${this.#session(deed.session).pid})`,
        )
      case 'terminate':
        return this.#mustAsk(
          this.#session(deed.session).on,
          `select pg_terminate_backend(${this.#session(deed.session).pid})`,
        )
      case 'kill-backend':
        signalAll([this.#session(deed.session).pid], 'SIGKILL')
        return
      case 'pump': {
        const { port } = hosts.host(deed.on)
        this.#pumps.set(deed.session, await Pump.open({ port, user: APP, firstToken: 1000 }))
        return
      }
      case 'loop': {
        const { client } = await this.#open(deed.session, deed.on)
        const text =
          'do $$ begin for n in 1..100000000 loop insert into tokens values (n); commit; end loop; end $$'
        client.query(text).catch(() => undefined)
        return
      }
      case 'hold-reader': {
        const { client } = await this.#open(deed.session, deed.on)
        await client.query('begin')
        await client.query('select count(*) from tokens')
        return
      }
      case 'lock-table': {
        const client = await hosts.connect(deed.on)
        await client.query('begin')
        await client.query('lock table tokens in access exclusive mode')
        await client.query('insert into tokens values ($1)', [deed.token])
        await client.query('commit')
        return client.end()
      }
      case 'end-readers':
        return this.#mustAsk(
          deed.on,
          `select pg_terminate_backend(pid) from pg_stat_activity
           where backend_type = 'client backend' and state = 'idle in transaction'`,
        )
      case 'remember-rows':
        this.#rows.set(deed.on, await this.#countRows(deed.on))
        return
      case 'set':
        hosts.set(deed.on, deed.setting, deed.value)
        return
      case 'point':
        hosts.point(deed.on, deed.at, deed.as)
        return
      case 'start':
        if (deed.at !== undefined) hosts.point(deed.on, deed.at)
        return hosts.start(deed.on)
      case 'clone':
        return this.#clone(deed)
      case 'put-history':
        hosts.putFile(deed.on, join('pg_wal', historyFileName(deed.timeline)), '1\t0/28\tanother history\n')
        return
      case 'make-slot':
        return this.#mustAsk(deed.on, `select pg_create_physical_replication_slot('${deed.slot}', true)`)
      case 'fill-wal': {
        const client = await hosts.connect(deed.on)
        for (let segment = 0; segment < deed.segments; segment += 1) {
          await client.query('insert into filler values ($1)', [segment])
          await client.query('select pg_switch_wal()')
        }
        return client.end()
      }
      case 'rewind':
        this.#rewind(deed)
        return
      default:
        return this.#simple(deed.do, deed.on)
    }
  }

  async #simple(deed: SimpleDeed, on: string): Promise<void> {
    const hosts = this.#hosts
    const { dataDir } = hosts.host(on)
    switch (deed) {
      case 'reload':
        return this.#reload(on)
      case 'pause-replay':
        return this.#mustAsk(on, 'select pg_wal_replay_pause()')
      case 'resume-replay':
        return this.#mustAsk(on, 'select pg_wal_replay_resume()')
      case 'promote':
        return this.#mustAsk(on, 'select pg_promote(false)')
      case 'kill-postmaster':
        signalAll([findPostmaster(dataDir)?.pid ?? 0], 'SIGKILL')
        return
      case 'kill-all':
        return hosts.kill(on)
      case 'freeze':
      case 'thaw': {
        const pids = instanceProcesses(dataDir).map(({ pid }) => pid)
        signalAll(pids, deed === 'freeze' ? 'SIGSTOP' : 'SIGCONT')
        return
      }
      case 'freeze-postmaster':
      case 'thaw-postmaster': {
        const { pid } = findPostmaster(dataDir) ?? { pid: 0 }
        signalAll([pid], deed === 'freeze-postmaster' ? 'SIGSTOP' : 'SIGCONT')
        return
      }
      case 'signal-promotion':
        hosts.putFile(on, 'promote', '')
        signalAll(pidsTitled(dataDir, 'startup'), 'SIGUSR2')
        return
      case 'stall-checkpointer':
        this.#stalled.push(...pidsTitled(dataDir, 'checkpointer'))
        signalAll(this.#stalled, 'SIGSTOP')
        return
      case 'release-checkpointer':
        signalAll(this.#stalled.splice(0), 'SIGCONT')
        return
      case 'shut-down':
        return hosts.stop(on)
      case 'checkpoint':
        return this.#mustAsk(on, 'checkpoint')
      case 'terminate-walreceiver':
        signalAll(pidsTitled(dataDir, 'walreceiver'), 'SIGTERM')
        return
      case 'terminate-walreceiver-by-sql': {
        const [pid] = pidsTitled(dataDir, 'walreceiver')
        const rows = await hosts.ask<{ said: boolean }>(on, 'select pg_terminate_backend($1) as said', [pid])
        this.#answer = String(rows?.[0]?.said)
        return
      }
      case 'put-standby-signal':
        hosts.putFile(on, 'standby.signal', '')
        return
      case 'remove-standby-signal':
        hosts.removeFile(on, 'standby.signal')
    }
  }

  async answer(question: Question): Promise<string> {
    const hosts = this.#hosts
    switch (question.ask) {
      case 'walreceiver':
        return pidsTitled(hosts.host(question.on).dataDir, 'walreceiver').length > 0 ? 'there' : 'gone'
      case 'walreceiver-row': {
        const rows = await hosts.ask(question.on, 'select from pg_stat_wal_receiver')
        if (rows === undefined) return 'no answer'
        return rows.length > 0 ? 'there' : 'none'
      }
      case 'receive-lsn':
        return this.#one(
          question.on,
          `select case when pg_last_wal_receive_lsn() is null then 'null'
             when pg_last_wal_receive_lsn() < pg_last_wal_replay_lsn() then 'below replay'
             else 'at replay or above' end as word`,
        )
      case 'streams': {
        const port = hosts.portOf(question.from)
        return this.#one(
          question.on,
          `select case when exists (select from pg_stat_wal_receiver
             where status = 'streaming' and sender_port = ${port}) then 'yes' else 'no' end as word`,
        )
      }
      case 'role':
        if (findPostmaster(hosts.host(question.on).dataDir) === undefined) return 'down'
        return this.#one(
          question.on,
          `select case when pg_is_in_recovery() then 'standby' else 'primary' end as word`,
        )
      case 'timeline':
        return String(await this.#timeline(question.on))
      case 'statement':
        return this.#session(question.session).state
      case 'acknowledgements': {
        const pump = this.#pumps.get(question.session)
        const before = pump?.acknowledged ?? 0
        await pause(LOOK_MS)
        return (pump?.acknowledged ?? 0) > before ? 'growing' : 'still'
      }
      case 'rows':
        return this.#one(
          question.on,
          `select coalesce(string_agg(token::text, ' ' order by token), '') as word from tokens`,
        )
      case 'rows-remembered':
        return (await this.#countRows(question.on)) > (this.#rows.get(question.on) ?? 0) ? 'more' : 'the same'
      case 'processes':
        return instanceProcesses(hosts.host(question.on).dataDir).length > 0 ? 'some' : 'none'
      case 'replay':
        return this.#one(
          question.on,
          `select case when pg_get_wal_replay_pause_state() = 'paused' then 'paused'
             when exists (select from pg_stat_activity where backend_type = 'startup'
               and wait_event_type = 'Lock') then 'blocked'
             when exists (select from pg_stat_activity where backend_type = 'startup'
               and wait_event = 'RecoveryRetrieveRetryInterval') then 'asleep' else 'free' end as word`,
        )
      case 'same-end':
        return this.#sameEnd(question)
      case 'same-history': {
        const [one, other] = [await this.#history(question.on), await this.#history(question.as)]
        return one === other ? 'yes' : `no: ${one} and ${other}`
      }
      case 'slot': {
        const word = await this.#one(
          question.on,
          `select coalesce((select case when wal_status = 'lost' then 'lost' else 'kept' end
             from pg_replication_slots where slot_name = '${question.slot}'), 'absent') as word`,
        )
        return word
      }
      case 'standby-signal':
        return hosts.hasFile(question.on, 'standby.signal') ? 'there' : 'absent'
      case 'answer':
        return this.#answer
    }
  }

  async #one(on: string, text: string): Promise<string> {
    const rows = await this.#hosts.ask<{ word: string }>(on, text)
    return rows?.[0]?.word ?? 'no answer'
  }

  async #mustAsk(on: string, text: string): Promise<void> {
    if ((await this.#hosts.ask(on, text)) === undefined) throw new Error(`"${on}" does not answer: ${text}`)
  }

  /** Until a new session sees what stands in the file: then the postmaster has told its children too. */
  async #reload(on: string): Promise<void> {
    const postmaster = findPostmaster(this.#hosts.host(on).dataDir)
    const loadedAt = () => this.#one(on, 'select pg_conf_load_time()::text as word')
    const before = await loadedAt()
    signalAll([postmaster?.pid ?? 0], 'SIGHUP')
    const giveUpAt = performance.now() + 5000
    while ((await loadedAt()) === before) {
      if (performance.now() > giveUpAt) throw new Error('the reload does not show')
      await pause(2)
    }
  }

  async #sameEnd(question: { readonly on: string; readonly as: string }): Promise<string> {
    const { endLsn } = await endOfWal({ dataDir: this.#hosts.host(question.on).dataDir })
    const word = await this.#one(
      question.as,
      'select greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::text as word',
    )
    return parseLsn(endLsn) === parseLsn(word) ? 'yes' : `no: ${endLsn} and ${word}`
  }

  async #timeline(on: string): Promise<number> {
    const { timeline } = await readControlFile(this.#hosts.host(on).dataDir)
    const text = `select coalesce(max(received_tli), 0)::text as word from pg_stat_wal_receiver`
    return Math.max(timeline, Number(await this.#one(on, text)))
  }

  async #history(on: string): Promise<string> {
    const { dataDir } = this.#hosts.host(on)
    const { timeline } = await readControlFile(dataDir)
    const links = (await readTimelineHistory(dataDir, timeline)) ?? []
    return `${timeline}: ${links.map((link) => `${link.timeline} to ${link.endLsn}`).join(', ')}`
  }

  async #countRows(on: string): Promise<number> {
    return Number(await this.#one(on, 'select count(*)::text as word from tokens'))
  }

  #session(name: string): Session {
    const session = this.#sessions.get(name)
    if (session === undefined) throw new Error(`No session "${name}"`)
    return session
  }

  async #open(name: string, on: string): Promise<Session> {
    const known = this.#sessions.get(name)
    if (known) return known
    const client = await this.#hosts.connect(on)
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
    const session = { client, pid: rows[0]?.pid ?? 0, on, state: 'idle' }
    this.#sessions.set(name, session)
    return session
  }

  async #send(deed: Extract<Deed, { do: 'send' }>): Promise<void> {
    const session = await this.#open(deed.session, deed.on)
    session.state = 'waiting'
    let isWarned = false
    const notice = (message: { readonly code?: string | undefined }): void => {
      if (message.code === '01000') isWarned = true
    }
    session.client.on('notice', notice)
    session.client
      .query('insert into tokens values ($1)', [deed.token])
      .then(
        () => {
          session.state = isWarned ? 'warned' : 'complete'
        },
        (error: { readonly code?: string }) => {
          const isOwn = error.code?.length === 5 && !error.code.startsWith('57P')
          session.state = isOwn && !error.code.startsWith('E') ? `error ${error.code}` : 'lost'
        },
      )
      .finally(() => session.client.off('notice', notice))
  }

  async #clone(deed: Extract<Deed, { do: 'clone' }>): Promise<void> {
    await this.#hosts.kill(deed.on)
    const { dataDir } = this.#hosts.host(deed.on)
    const { port } = this.#hosts.host(deed.from)
    const args = ['-D', `${dataDir}.copy`, '-h', '127.0.0.1', '-p', String(port), '-U', APP, '-c', 'fast']
    const { status, words } = this.#hosts.runProgram('pg_basebackup', args)
    if (status !== 0) throw new Error(words)
    this.#hosts.takeCopy(deed.on)
  }

  #rewind(deed: Extract<Deed, { do: 'rewind' }>): void {
    const { dataDir } = this.#hosts.host(deed.on)
    const own = OWN_FILES.map((name) => [name, readFileSync(join(dataDir, name), 'utf8')] as const)
    const source = `host=127.0.0.1 port=${this.#hosts.host(deed.source).port} user=${APP} dbname=postgres`
    const { status, words } = this.#hosts.runProgram('pg_rewind', [
      '-D',
      dataDir,
      `--source-server=${source}`,
    ])
    for (const [name, content] of own) this.#hosts.putFile(deed.on, name, content)
    if (/no rewind required/.test(words)) this.#answer = 'not required'
    else this.#answer = status === 0 ? 'done' : 'impossible'
  }
}
