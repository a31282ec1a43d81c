import { spawn } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { eventually } from '../../test/support/eventually.ts'
import { describePostgres, makeFolder, Workspace, running } from '../../test/support/postgres.ts'
import { writeIncarnation } from './data-directory.ts'
import type { InstanceEvent } from './instance-outcome.ts'
import type { Instance } from './instance.ts'
import { instanceProcesses, killInstance } from './process-tree.ts'

const NO_CONTENT = { users: [], databases: [], initdbArgs: [] }

describePostgres('one instance', (postgres) => {
  let workspace: Workspace
  let instance: Instance
  let port: number

  beforeAll(async () => {
    workspace = new Workspace(postgres())
    instance = await workspace.instance('n1', {
      parameters: { shared_buffers: '16MB', max_connections: '30', port: '1', fsync: 'off', work_mem: '5MB' },
    })
    await instance.initialise({
      users: [{ name: 'app', password: 'app secret', options: ['createdb'] }],
      databases: [{ name: 'app', owner: 'app' }],
      initdbArgs: ['locale: C'],
    })
    await running(instance.start({ as: 'primary' }))
    port = Number(await setting('port'))
  })
  afterAll(() => workspace.dispose())

  const setting = async (name: string) => {
    const rows = await instance.query<{ value: string }>('select current_setting($1) as value', [name], 5000)
    return rows[0]?.value
  }

  const connect = async (user: string, password: string, database: string) => {
    const client = new pg.Client({ host: '127.0.0.1', port, user, password, database })
    client.on('error', () => {})
    await client.connect()
    return client
  }

  it('is founded with checksums, UTF-8, SCRAM and the content that was asked for', async () => {
    expect(await instance.inspect()).toMatchObject({
      kind: 'instance',
      timeline: 1,
      checksums: true,
      incarnation: expect.stringMatching(/^[0-9a-f]{32}$/),
    })
    // What a promotion has to copy is small, and as much WAL as ever lies between two checkpoints.
    const sizes = ['wal_segment_size', 'max_wal_size', 'min_wal_size'].map(setting)
    expect(await Promise.all(sizes)).toEqual(['4MB', '1GB', '80MB'])
    const client = await connect('app', 'app secret', 'app')
    expect((await client.query('show server_encoding')).rows).toEqual([{ server_encoding: 'UTF8' }])
    await client.end()
    await expect(connect('app', 'wrong', 'app')).rejects.toMatchObject({ code: '28P01' })
    const roles = await instance.query(
      `select rolname, rolreplication, left(rolpassword, 14) as stored from pg_authid
       where rolpassword is not null order by 1`,
      [],
      5000,
    )
    const stored = 'SCRAM-SHA-256$'
    expect(roles).toEqual([
      { rolname: 'app', rolreplication: false, stored },
      { rolname: 'postgres', rolreplication: true, stored },
      { rolname: 'replicator', rolreplication: true, stored },
    ])
  })

  it('never passes on parameters that the agent owns, and says which', async () => {
    expect(instance.refusedParameters.map(({ name }) => name)).toEqual(['port', 'fsync'])
    expect([await setting('fsync'), await setting('work_mem'), await setting('max_connections')]).toEqual([
      'on',
      '5MB',
      '30',
    ])
    expect(await setting('restart_after_crash')).toBe('off')
  })

  it('keeps standby.signal in the directory of a running primary', async () => {
    expect(existsSync(join(instance.dataDir, 'standby.signal'))).toBe(true)
    expect(await instance.facts()).toMatchObject({ state: 'running', role: 'primary', timeline: 1 })
  })

  it('proves that it can write, and shows a parameter that waits for a restart', async () => {
    const before = (await instance.facts()).flushLsn ?? ''
    expect(await instance.probeWrite('flushed', 5000)).toMatchObject({ kind: 'written' })
    const after = (await instance.facts()).flushLsn ?? ''
    const [row] = await instance.query<{ grown: string }>(
      'select ($1::pg_lsn - $2::pg_lsn)::text as grown',
      [after, before],
      5000,
    )
    expect(Number(row?.grown)).toBeGreaterThan(0)
    await instance.checkpoint(30_000)
    expect((await instance.facts()).pendingRestart).toBeUndefined()
  })

  it('counts as PostgreSQL does, and leaves its own connection where slots are scarce', async () => {
    const client = await connect('app', 'app secret', 'app')
    for (let statement = 0; statement < 20; statement += 1) await client.query('select 1')
    await client.end()
    const counters = () =>
      instance.query<{ transactions: number }>(
        "select (xact_commit + xact_rollback)::int as transactions from pg_stat_database where datname = 'app'",
        [],
        5000,
      )
    await eventually('what an ended session counted', async () => {
      const told = await instance.activity.ask(5000)
      const [row] = await counters()
      return row !== undefined && row.transactions > 20 && told?.transactions === row.transactions
    })
    const sessions = async () => {
      const rows = await instance.query<{ all: number; own: number }>(
        `select count(*)::int as all, count(*) filter (where application_name = 'pg-metako count')::int as own
         from pg_stat_activity where backend_type = 'client backend'`,
        [],
        5000,
      )
      return rows[0]
    }
    expect(await instance.activity.ask(5000)).toMatchObject({
      connectionsMax: 30,
      connections: (await sessions())?.all,
    })
    expect((await sessions())?.own).toBe(1)
    const crowd: pg.Client[] = []
    try {
      while ((await sessions())?.all !== 27) crowd.push(await connect('app', 'app secret', 'app'))
      expect((await instance.activity.ask(5000))?.connections).toBe(27)
      await eventually('its slot to be free again', async () => (await sessions())?.own === 0)
    } finally {
      await Promise.all(crowd.map((one) => one.end()))
    }
  })

  it('says where the oldest WAL begins that it still has', async () => {
    const [row] = await instance.query<{ oldest: string; segment: number }>(
      `select min(name) as oldest, (select setting::int from pg_settings where name = 'wal_segment_size') as segment from pg_ls_waldir() where length(name) = 24`,
      [],
      5000,
    )
    const { oldest = '', segment = 0 } = row ?? {}
    expect(oldest).toMatch(/^0000000100000000/)
    const start = Number(`0x${oldest.slice(16)}`) * segment
    expect((await instance.facts()).oldestWal).toBe(`0/${start.toString(16).toUpperCase()}`)
  })

  it('is adopted by another agent, which hears of its end', async () => {
    const second = await workspace.instance('n1', { port })
    const pid = (await instance.facts()).postmasterPid
    expect(second.adopt()?.pid).toBe(pid)
    expect(await second.start({ as: 'standby' })).toEqual({ kind: 'adopted', pid })
    expect(await second.facts()).toMatchObject({ state: 'running', role: 'primary', postmasterPid: pid })

    const events: InstanceEvent[] = []
    second.onEvent((event) => events.push(event))
    expect(await instance.stop({ mode: 'fast' })).toEqual({ kind: 'stopped', clean: true, killed: 0 })
    await eventually('the adopting agent hears of the end', () => events.length === 2)
    expect(events).toMatchObject([
      { kind: 'exited', pid, expected: false },
      { kind: 'cleared', outcome: { kind: 'dead' } },
    ])
    second.close()
    expect(await eventually('the end of WAL', async () => (await instance.facts()).flushLsn)).toMatch(/^0\//)
    expect(await instance.facts()).toMatchObject({ state: 'stopped', timeline: 1 })
    expect(await instance.start({ as: 'primary' })).toMatchObject({ kind: 'running' })
  })

  it('after kill -9 of the postmaster leaves no process, though a backend goes on committing', async () => {
    const client = await connect('app', 'app secret', 'app')
    await client.query('create table busy (n int)')
    const loop = `do $$ begin for i in 1..100000000 loop insert into busy values (i); commit; end loop; end $$`
    client.query(loop).catch(() => {})
    await eventually('the backend is busy', async () => {
      const rows = await instance.query('select from pg_stat_activity where query like $1', ['do $$%'], 5000)
      return rows.length > 0
    })
    const events: InstanceEvent[] = []
    const stopListening = instance.onEvent((event) => events.push(event))
    const pid = (await instance.facts()).postmasterPid ?? 0
    process.kill(pid, 'SIGKILL')
    await eventually('it is cleared', () => events.some(({ kind }) => kind === 'cleared'))
    stopListening()
    expect(events).toMatchObject([
      { kind: 'exited', pid, signal: 'SIGKILL', expected: false },
      { kind: 'cleared', outcome: { kind: 'dead', stuck: [] } },
    ])
    expect(instanceProcesses(instance.dataDir)).toEqual([])
    expect(await instance.facts()).toMatchObject({ state: 'crashed' })
    expect(await instance.start({ as: 'primary' })).toMatchObject({ kind: 'running' })
  })

  it('is killed from outside with nothing but its path', async () => {
    const before = instanceProcesses(instance.dataDir).length
    expect(before).toBeGreaterThan(3)
    const outcome = await killInstance(instance.dataDir, { deadlineMs: 5000 })
    expect(outcome).toMatchObject({ kind: 'dead', stuck: [] })
    expect(outcome.kind === 'dead' && outcome.killed).toBeGreaterThanOrEqual(before)
    expect(instanceProcesses(instance.dataDir)).toEqual([])
    expect(await killInstance(instance.dataDir, { deadlineMs: 5000 })).toMatchObject({
      kind: 'dead',
      killed: 0,
    })
    await eventually('the end was noticed', async () => (await instance.facts()).state === 'crashed')
  })

  it('is not started while a process of it is left, and starts though its lock files name a stranger', async () => {
    expect(await instance.start({ as: 'primary' })).toMatchObject({ kind: 'running' })
    // What a postmaster that was killed leaves behind, for as long as it runs: here the child of some archive_command.
    await instance.stop({ mode: 'immediate' })
    const left = spawn('sleep', ['60'], { cwd: instance.dataDir, stdio: 'ignore' })
    const gone = new Promise((resolve) => left.once('exit', resolve))
    expect(await instance.start({ as: 'primary' })).toMatchObject({
      kind: 'refused',
      reason: 'PROCESSES_LEFT',
      message: expect.stringContaining(String(left.pid)),
    })
    expect(await instance.kill()).toMatchObject({ kind: 'dead', killed: 1 })
    await gone

    const pidFile = join(instance.dataDir, 'postmaster.pid')
    const socketLock = join(workspace.folder, 'run', `.s.PGSQL.${port}.lock`)
    for (const path of [pidFile, socketLock]) {
      writeFileSync(path, `${process.pid}\n${instance.dataDir}\n1\n${port}\n\n\n\nready\n`)
    }
    expect(await instance.start({ as: 'primary' })).toMatchObject({ kind: 'running' })
    expect(Number(readFileSync(pidFile, 'utf8').split('\n')[0])).not.toBe(process.pid)
  })

  it('says why it did not start, in the words of the server', async () => {
    await instance.stop({ mode: 'fast' })
    const broken = await workspace.instance('n1', { port, parameters: { shared_buffers: 'a lot' } })
    const outcome = await broken.start({ as: 'primary' })
    expect(outcome).toMatchObject({ kind: 'failed', message: expect.stringContaining('FATAL') })
    expect(outcome.kind === 'failed' && outcome.logTail.join('\n')).toContain('shared_buffers')
    expect((await broken.facts()).trouble).toContain('FATAL')
    expect(existsSync(join(instance.dataDir, 'standby.signal'))).toBe(true)
    expect(await instance.start({ as: 'standby' })).toMatchObject({ kind: 'running' })
    expect(await instance.facts()).toMatchObject({ state: 'running', role: 'standby', streaming: false })
  })

  it('gets a new incarnation only when it is told so', async () => {
    const before = await instance.inspect()
    const incarnation = await writeIncarnation(instance.dataDir, postgres().osUser)
    expect(await instance.inspect()).toMatchObject({ incarnation })
    expect(before).not.toMatchObject({ incarnation })
  })

  it('touches nothing that is not its own', async () => {
    const foreign = await workspace.instance('foreign')
    const folder = makeFolder(workspace, 'foreign')
    writeFileSync(join(folder, 'letters.txt'), 'dear')
    expect(await foreign.start({ as: 'primary' })).toMatchObject({ kind: 'refused', reason: 'FOREIGN' })
    await expect(foreign.initialise(NO_CONTENT)).rejects.toMatchObject({ code: 'PG_DATA_DIR_FOREIGN' })
    await expect(foreign.clone({ source: { host: '127.0.0.1', port } })).rejects.toMatchObject({
      code: 'PG_DATA_DIR_FOREIGN',
    })
    expect(readFileSync(join(folder, 'letters.txt'), 'utf8')).toBe('dear')
    expect(await instance.initialise(NO_CONTENT).catch((error: { code: string }) => error.code)).toBe(
      'PG_DATA_DIR_FOREIGN',
    )
    rmSync(folder, { recursive: true })
    expect(await foreign.start({ as: 'primary' })).toMatchObject({ kind: 'refused', reason: 'NO_INSTANCE' })
  })
})
