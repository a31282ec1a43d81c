import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { eventually } from '../../test/support/eventually.ts'
import { describePostgres, running, SUPERUSER, Workspace } from '../../test/support/postgres.ts'
import { NOBODY, walNameOf } from '../model/ack-rule.ts'
import type { Instance } from './instance.ts'

const SQL_MS = 3000

describePostgres('what a take-over by revocation leans on', (postgres) => {
  let workspace: Workspace
  let n1: Instance
  let n2: Instance
  const ports = new Map<Instance, number>()

  beforeAll(async () => {
    workspace = new Workspace(postgres())
    n1 = await workspace.instance('n1')
    n2 = await workspace.instance('n2')
    await n1.initialise({ users: [], databases: [], initdbArgs: [] })
    await running(n1.start({ as: 'primary' }))
    await n1.query('create table public.rows (n int)', [], SQL_MS)
    ports.set(n1, await portOf(n1))
    await n2.clone({ source: source() })
    await running(n2.start({ as: 'standby', follow: source() }))
    await streams()
  })
  afterAll(() => workspace.dispose())

  const portOf = async (instance: Instance): Promise<number> => {
    const [row] = await instance.query<{ port: string }>(`select current_setting('port') as port`, [], SQL_MS)
    return Number(row?.port)
  }
  const source = () => ({ host: '127.0.0.1', port: ports.get(n1) ?? 0 })
  const streams = () => eventually('n2 streams', async () => (await n2.facts()).streaming === true)
  const names = async (): Promise<string> => {
    const found = await n2.inspect()
    const incarnation = found.kind === 'instance' ? (found.incarnation ?? '') : ''
    return `ANY 1 ("${walNameOf({ name: 'n2', incarnation })}")`
  }
  const connect = async (): Promise<pg.Client> => {
    const { name: user, password } = SUPERUSER
    const client = new pg.Client({
      host: '127.0.0.1',
      port: ports.get(n1) ?? 0,
      user,
      password,
      database: 'postgres',
    })
    client.on('error', () => {})
    await client.connect()
    return client
  }
  /** Whether a commit of a client is acknowledged within this; else its wait is cancelled, which PostgreSQL warns of. */
  const isAcknowledged = async (ms: number): Promise<boolean> => {
    const client = await connect()
    const warnings: (string | undefined)[] = []
    client.on('notice', ({ code }) => warnings.push(code))
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
    const commit = client.query('insert into public.rows values (1)')
    const cancelling = setTimeout(() => {
      void n1.query('select pg_cancel_backend($1)', [rows[0]?.pid], SQL_MS)
    }, ms)
    await commit
    clearTimeout(cancelling)
    await client.end()
    return warnings.length === 0
  }

  it('commits wait from the moment on at which the names were set, and are acknowledged by the standby that is named', async () => {
    expect(await isAcknowledged(1000)).toBe(true)
    await n1.settings.setSynchronousNames(NOBODY, SQL_MS)
    expect(await isAcknowledged(300)).toBe(false)
    await n1.settings.setSynchronousNames(await names(), SQL_MS)
    expect(await isAcknowledged(2000)).toBe(true)
    expect(await n1.facts()).toMatchObject({
      synchronousNames: await names(),
      walSenders: [{ state: 'streaming', syncPriority: 1 }],
    })
    expect(await n1.probeWrite('acknowledged', SQL_MS)).toMatchObject({ kind: 'written' })
  })

  it('a probe that nobody acknowledges leaves no session behind that waits on', async () => {
    await n1.settings.setSynchronousNames(NOBODY, SQL_MS)
    expect(await n1.probeWrite('acknowledged', 300)).toMatchObject({ kind: 'failed' })
    const waiting = await eventually('nobody waits for a standby', async () => {
      const rows = await n1.query(`select from pg_stat_activity where wait_event = 'SyncRep'`, [], SQL_MS)
      return rows.length === 0 ? rows : undefined
    })
    expect(waiting).toEqual([])
    await n1.settings.setSynchronousNames(await names(), SQL_MS)
  })

  it('a WAL sender that is ended comes back and counts again', async () => {
    const [before] = (await n1.facts()).walSenders ?? []
    await n1.restartWalSenders([before?.pid ?? 0], SQL_MS)
    const after = await eventually('another one streams', async () => {
      const [now] = (await n1.facts()).walSenders ?? []
      return now?.state === 'streaming' && now.syncPriority === 1 && now.pid !== before?.pid ? now : undefined
    })
    expect(after.name).toBe(before?.name)
  })

  it('a standby that stopped receiving acknowledges nothing more, though its replay is paused and would have kept its receiver', async () => {
    await n2.query('select pg_wal_replay_pause()', [], SQL_MS)
    await eventually('it is paused', async () => (await n2.facts()).walReplayPaused)
    expect(await isAcknowledged(2000)).toBe(true)
    const end = await n2.settings.stopReceiving(SQL_MS)
    expect(end.flushLsn).toBe((await n1.facts()).flushLsn)
    expect(await isAcknowledged(300)).toBe(false)
    expect((await n2.facts()).flushLsn).toBe(end.flushLsn)
    expect(end.timeline).toBe(1)
  })

  it('also after a restart by a stranger, and its end of WAL is what it had received, replayed or not', async () => {
    const before = await n2.settings.stopReceiving(SQL_MS)
    await n2.kill()
    expect(await n2.settings.stopReceiving(SQL_MS)).toEqual(before)
    await running(n2.start({ as: 'standby' }))
    const after = await n2.settings.stopReceiving(SQL_MS)
    expect(after).toEqual(before)
    expect(await isAcknowledged(300)).toBe(false)
  })

  it('goes by what lies in its files already, when the agent that wrote them ended before it said so', async () => {
    await n2.settings.follow(source())
    await streams()
    await n2.settings.write(n2.dataDir, 'standby', undefined)
    expect(await isAcknowledged(2000)).toBe(true)
    await n2.settings.stopReceiving(SQL_MS)
    expect(await isAcknowledged(300)).toBe(false)
  })

  it('follows again when it is told to, and what waited is acknowledged', async () => {
    await n2.settings.follow(source())
    await streams()
    expect(await isAcknowledged(3000)).toBe(true)
  })
})
