import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { eventually } from '../../test/support/eventually.ts'
import { describePostgres, freePort, SUPERUSER, Workspace, running } from '../../test/support/postgres.ts'
import { temporaryFor } from '../platform/disk.ts'
import type { CloneProgress } from './clone.ts'
import { markIncomplete } from './data-directory.ts'
import { endOfWal } from './end-of-wal.ts'
import type { Instance } from './instance.ts'
import { reserveTimelinesBelow } from './timeline-history.ts'
import { keepDivergedWal, lostTransactions } from './lost-transactions.ts'

const parameters = {
  shared_buffers: '16MB',
  max_connections: '30',
  max_prepared_transactions: '5',
  max_standby_streaming_delay: '60s',
  autovacuum: 'off',
}

describePostgres('a primary and its standby', (postgres) => {
  let workspace: Workspace
  let n1: Instance
  let n2: Instance
  const ports = { n1: 0, n2: 0 }
  const clients: pg.Client[] = []

  beforeAll(async () => {
    workspace = new Workspace(postgres())
    ports.n1 = await freePort()
    ports.n2 = await freePort()
    n1 = await workspace.instance('n1', { port: ports.n1, parameters, useSlots: true })
    n2 = await workspace.instance('n2', { port: ports.n2, parameters, useSlots: true })
    await n1.initialise({ users: [], databases: [], initdbArgs: [] })
    await running(n1.start({ as: 'primary' }))
  })
  afterAll(async () => {
    for (const client of clients) await client.end().catch(() => {})
    await workspace.dispose()
  })

  const source = (name: 'n1' | 'n2') => ({ host: '127.0.0.1', port: ports[name] })
  const connect = async (name: 'n1' | 'n2') => {
    const { name: user, password } = SUPERUSER
    const client = new pg.Client({
      host: '127.0.0.1',
      port: ports[name],
      user,
      password,
      database: 'postgres',
    })
    client.on('error', () => {})
    await client.connect()
    clients.push(client)
    return client
  }
  const commit = async (client: pg.Client, statement: string): Promise<number> => {
    await client.query('begin')
    await client.query(statement)
    const { rows } = await client.query<{ xid: string }>('select txid_current()::text as xid')
    await client.query('commit')
    return Number(rows[0]?.xid)
  }
  const streams = (standby: Instance) =>
    eventually('it streams', async () => {
      const facts = await standby.facts()
      return facts.streaming ? facts : undefined
    })
  const caughtUp = (standby: Instance, primary: Instance) =>
    eventually('it caught up', async () => {
      const [behind, ahead] = [await standby.facts(), await primary.facts()]
      return behind.replayLsn === ahead.flushLsn && behind.streaming
    })

  it('a clone that is cut off leaves nothing that starts, and the next one begins anew', async () => {
    const client = await connect('n1')
    await client.query('create table rows (n int primary key, note text)')
    await client.query(`insert into rows select n, repeat('x', 200) from generate_series(1, 100000) n`)
    const cut = new AbortController()
    const cloning = n2.clone({ source: source('n1'), signal: cut.signal, onProgress: () => cut.abort() })
    await expect(cloning).rejects.toMatchObject({ code: 'REPLICATION_LOST' })
    expect(await n2.inspect()).toEqual({ kind: 'absent' })
    expect(await n2.start({ as: 'standby' })).toMatchObject({ kind: 'refused', reason: 'NO_INSTANCE' })
    expect((await n2.facts()).trouble).toContain('Cannot go on with 127.0.0.1')

    // Even if somebody moved the half by hand to where a whole one belongs.
    renameSync(`${n2.dataDir}.clone`, n2.dataDir)
    expect(await n2.inspect()).toMatchObject({ kind: 'incomplete', reason: expect.stringContaining('clone') })
    expect(await n2.start({ as: 'standby' })).toMatchObject({ kind: 'refused', reason: 'INCOMPLETE' })
  })

  it('a clone streams and replays, with its tablespaces in folders of its own, also beside a file that the server may not read', async () => {
    const client = await connect('n1')
    const location = join(workspace.folder, 'fast disk')
    mkdirSync(location)
    workspace.own(location)
    await client.query(`create tablespace fast location '${location}'`)
    await client.query('create table fast_rows (n int) tablespace fast')
    await client.query('insert into fast_rows values (1)')
    expect(await n1.ensureSlots(['n2'], 5000)).toEqual({ created: ['metako_n2'], dropped: [] })
    // What an agent that was killed while it wrote left in the primary's folder, and the server may not read.
    writeFileSync(temporaryFor(join(n1.dataDir, 'pg-metako.conf')), '', { mode: 0o000 })

    const seen: CloneProgress[] = []
    const result = await n2.clone({ source: source('n1'), onProgress: (progress) => seen.push(progress) })
    const last = seen.at(-1)
    expect(last).toMatchObject({ bytesDone: result.bytes })
    expect(last?.bytesTotal).toBeGreaterThanOrEqual(result.bytes)
    expect(last?.bytesPerSecond).toBeGreaterThan(0)
    expect(result.setAside).toMatch(/n2\.before-\d/)

    expect(await n2.start({ as: 'standby', follow: source('n1') })).toMatchObject({ kind: 'running' })
    const facts = await streams(n2)
    expect(facts).toMatchObject({ role: 'standby', upstreamHost: '127.0.0.1', upstreamPort: ports.n1 })
    await client.query('insert into fast_rows values (2)')
    await caughtUp(n2, n1)
    expect(await n2.query('select n from public.fast_rows order by 1', [], 5000)).toEqual([
      { n: 1 },
      { n: 2 },
    ])
    const [place] = await n2.query<{ path: string }>(
      `select pg_tablespace_location(oid) as path from pg_tablespace where spcname = 'fast'`,
      [],
      5000,
    )
    expect(place?.path).toContain(`${n2.dataDir}_tablespaces/`)

    expect((await n1.facts()).walSenders).toMatchObject([
      { name: expect.stringMatching(/^n2_/), state: 'streaming' },
    ])
    const [one, two] = [await n1.inspect(), await n2.inspect()]
    expect(one.kind === 'instance' && two.kind === 'instance').toBe(true)
    if (one.kind !== 'instance' || two.kind !== 'instance') return
    expect(two.systemId).toBe(one.systemId)
    expect(two.incarnation).not.toBe(one.incarnation)
    expect(await n2.removeSetAside(0)).toHaveLength(1)
  })

  it('a clone from another cluster than the own one is refused', async () => {
    const n3 = await workspace.instance('n3')
    await expect(n3.clone({ source: source('n1'), systemId: '42' })).rejects.toMatchObject({
      code: 'CLONE_SOURCE_FOREIGN',
    })
    expect(await n3.inspect()).toEqual({ kind: 'absent' })
  })

  it('slots of members that are gone are dropped, those in use and those of others stay', async () => {
    await n1.query(`select pg_create_physical_replication_slot('backup_tool')`, [], 5000)
    expect(await n1.ensureSlots(['n2', 'N-3'], 5000)).toEqual({ created: ['metako_n_3'], dropped: [] })
    expect(await n1.ensureSlots([], 5000)).toEqual({ created: [], dropped: ['metako_n_3'] })
    await n1.query(`select pg_drop_replication_slot('backup_tool')`, [], 5000)
  })

  it('detaches from its primary and follows it again without a restart', async () => {
    const { postmasterPid } = await n2.facts()
    await n2.settings.follow(undefined)
    await eventually('it let go', async () => !(await n2.facts()).streaming)
    await n2.settings.follow(source('n1'))
    expect(await streams(n2)).toMatchObject({ postmasterPid })
  })

  it('what a take-over lost is what the old primary says it committed', async () => {
    const client = await connect('n1')
    await caughtUp(n2, n1)
    await n2.stop({ mode: 'fast' })
    const truth: number[] = []
    truth.push(await commit(client, `insert into rows values (-1, 'single')`))
    await client.query(`begin; insert into rows values (-2, 'aborted'); rollback`)
    // Larger than a page, then than a segment's rest: records that go on over many pages.
    truth.push(
      await commit(
        client,
        `insert into rows select -n - 100, repeat(md5(n::text), 400) from generate_series(1, 300) n`,
      ),
    )
    await client.query('select pg_switch_wal()')
    await client.query('begin; insert into rows values (-3); savepoint s; insert into rows values (-4)')
    const { rows } = await client.query<{ xid: string }>('select txid_current()::text as xid')
    await client.query('release s; commit')
    truth.push(Number(rows[0]?.xid))
    await client.query('begin; create table made (n int) tablespace fast; insert into made values (1)')
    const prepared = await client.query<{ xid: string }>('select txid_current()::text as xid')
    await client.query(`prepare transaction 'later'`)
    truth.push(await commit(client, `insert into rows values (-5, 'between')`))
    await client.query(`commit prepared 'later'`)
    truth.push(Number(prepared.rows[0]?.xid))
    await n1.probeWrite('flushed', 5000)
    truth.push(await commit(client, `insert into rows values (-6, 'last')`))
    await n1.kill()

    await n2.start({ as: 'standby', follow: source('n1') })
    const promoted = await n2.promote({ deadlineMs: 10_000 })
    expect(promoted).toMatchObject({ kind: 'promoted', timeline: 2, previousTimeline: 1 })
    if (promoted.kind !== 'promoted') return
    expect(promoted.tookMs).toBeLessThan(5000)
    const lost = await lostTransactions({ dataDir: n1.dataDir, timeline: 1, forkLsn: promoted.forkLsn })
    expect(lost.xids).toEqual(truth)
    expect(lost.count).toBe(truth.length)

    // A fork from before the oldest segment: a directory that was cloned since says that it does not know, not that nothing is lost.
    const before = await lostTransactions({ dataDir: n1.dataDir, timeline: 1, forkLsn: '0/1000' })
    expect(before).toMatchObject({ isUnreadable: true, count: 0, endLsn: lost.endLsn })
    expect(before.bytes).toBeGreaterThan(lost.bytes)

    const into = join(workspace.folder, 'reports')
    const kept = await keepDivergedWal({ dataDir: n1.dataDir, timeline: 1, forkLsn: promoted.forkLsn, into })
    expect(kept).toEqual(lost)
    expect(readdirSync(into)).toContain('lost-transactions.txt')
    expect(readdirSync(into).filter((name) => name.length === 24).length).toBeGreaterThan(1)
    expect(readFileSync(join(into, 'lost-transactions.txt'), 'utf8')).toContain(`\n${truth.join('\n')}\n`)
    expect((await endOfWal({ dataDir: n1.dataDir })).endLsn).toBe(lost.endLsn)
  })

  it('a new primary takes writes, has its signal file back and points at nobody', async () => {
    expect(await n2.probeWrite('flushed', 5000)).toMatchObject({ kind: 'written' })
    expect(await n2.facts()).toMatchObject({ state: 'running', role: 'primary', timeline: 2 })
    expect(existsSync(join(n2.dataDir, 'standby.signal'))).toBe(true)
    expect(readFileSync(join(n2.dataDir, 'pg-metako.conf'), 'utf8')).toContain(`primary_conninfo = ''`)
  })

  it('the old primary comes back as a clone; what it had is aside until it is asked for by name', async () => {
    await n2.ensureSlots(['n1'], 5000)
    const result = await n1.clone({ source: source('n2') })
    expect(result.setAside).toBeDefined()
    expect(await n1.start({ as: 'standby', follow: source('n2') })).toMatchObject({ kind: 'running' })
    expect(await streams(n1)).toMatchObject({ timeline: 2 })
    await caughtUp(n1, n2)
    expect(await n1.query('select n from public.rows where n < 0', [], 5000)).toEqual([])
    expect(existsSync(result.setAside ?? '')).toBe(true)
    expect(await n1.removeSetAside(1)).toEqual([])
    expect(await n1.removeSetAside(0)).toEqual([result.setAside])
    expect(existsSync(result.setAside ?? '')).toBe(false)
    expect(await n1.query('select n from public.fast_rows order by 1', [], 5000)).toHaveLength(2)
    // Only the tablespaces of the copy in use are left.
    expect(readdirSync(`${n1.dataDir}_tablespaces`)).toHaveLength(1)
  })

  it('a stopped standby knows how far its WAL goes, also on a timeline that it has only just begun', async () => {
    await commit(await connect('n2'), 'insert into fast_rows values (30)')
    await caughtUp(n1, n2)
    const { flushLsn } = await n2.facts()
    await n1.kill()
    const atRest = await eventually('the end of WAL', async () => {
      const facts = await n1.facts()
      return facts.flushLsn === undefined ? undefined : facts
    })
    expect(atRest).toMatchObject({ state: 'crashed', timeline: 2, flushLsn })
    await running(n1.start({ as: 'standby', follow: source('n2') }))
    await streams(n1)
  })

  it('a standby is promoted at once though its primary was killed a moment ago', async () => {
    await caughtUp(n1, n2)
    expect(await n2.kill()).toMatchObject({ kind: 'dead' })
    const promoted = await n1.promote({ deadlineMs: 10_000 })
    expect(promoted).toMatchObject({ kind: 'promoted', timeline: 3, previousTimeline: 2 })
    expect(promoted.kind === 'promoted' && promoted.tookMs).toBeLessThan(2000)
    const probe = await n1.probeWrite('flushed', 5000)
    expect(probe).toMatchObject({ kind: 'written' })
    const fork = promoted.kind === 'promoted' ? promoted.forkLsn : ''
    const lost = await lostTransactions({ dataDir: n2.dataDir, timeline: 2, forkLsn: fork })
    expect(lost.count).toBe(0)
  })

  it('a reader that blocks replay does not hold a promotion up, nor does paused replay', async () => {
    await n1.ensureSlots(['n2'], 5000)
    await n2.clone({ source: source('n1') })
    await n2.start({ as: 'standby', follow: source('n1') })
    await caughtUp(n2, n1)
    const reader = await connect('n2')
    await reader.query('begin; select * from rows limit 1')
    const writer = await connect('n1')
    await writer.query('alter table rows add column more int')
    await eventually('replay waits for the reader', async () => {
      const rows = await n2.query(
        `select from pg_stat_activity where backend_type = 'startup' and wait_event_type = 'Lock'`,
        [],
        5000,
      )
      return rows.length > 0
    })
    await n1.kill()
    const promoted = await n2.promote({ deadlineMs: 10_000 })
    expect(promoted).toMatchObject({ kind: 'promoted', timeline: 4 })
    expect(promoted.kind === 'promoted' && promoted.tookMs).toBeLessThan(3000)
    expect(await n2.query('select more from public.rows limit 1', [], 5000)).toHaveLength(1)

    await n2.ensureSlots(['n1'], 5000)
    await n1.clone({ source: source('n2') })
    await n1.start({ as: 'standby', follow: source('n2') })
    await caughtUp(n1, n2)
    await n1.query('select pg_wal_replay_pause()', [], 5000)
    await eventually('it is paused', async () => (await n1.facts()).walReplayPaused)
    await commit(await connect('n2'), 'insert into fast_rows values (3)')
    await eventually('it has received what it does not replay', async () => {
      const [behind, ahead] = [await n1.facts(), await n2.facts()]
      return behind.flushLsn === ahead.flushLsn && behind.replayLsn !== ahead.flushLsn
    })
    await n2.kill()
    expect(await n1.promote({ deadlineMs: 10_000 })).toMatchObject({ kind: 'promoted', timeline: 5 })
    expect(await n1.query('select n from public.fast_rows', [], 5000)).toHaveLength(4)
  })

  it('a promotion takes the timeline that it is given, and a follower comes along, also after a restart', async () => {
    await n1.ensureSlots(['n2'], 5000)
    await n2.clone({ source: source('n1') })
    await n2.start({ as: 'standby', follow: source('n1') })
    await caughtUp(n2, n1)
    await n1.kill()
    // Both are standbys of timeline 5; ids up to 8 were given to epochs of which nothing is left.
    await running(n1.start({ as: 'standby' }))
    const promoted = await n2.promote({ timeline: 9, deadlineMs: 10_000 })
    expect(promoted).toMatchObject({ kind: 'promoted', timeline: 9, previousTimeline: 5 })
    await n2.ensureSlots(['n1'], 5000)
    await n1.settings.follow(source('n2'))
    await commit(await connect('n2'), 'insert into fast_rows values (4)')
    await caughtUp(n1, n2)
    expect(await n1.facts()).toMatchObject({ timeline: 9, streaming: true })

    // The follower got the files of the reserved ids too; they must not keep it from starting or from being promoted.
    await n1.stop({ mode: 'fast' })
    await running(n1.start({ as: 'standby', follow: source('n2') }))
    await commit(await connect('n2'), 'insert into fast_rows values (5)')
    await caughtUp(n1, n2)
    await n2.kill()
    expect(await n1.promote({ timeline: 10, deadlineMs: 10_000 })).toMatchObject({
      kind: 'promoted',
      timeline: 10,
      previousTimeline: 9,
    })
    expect(await n1.query('select n from public.fast_rows', [], 5000)).toHaveLength(6)
  })

  it('a standby starts again that reserved timelines and was not promoted', async () => {
    await n1.ensureSlots(['n2'], 5000)
    await n2.clone({ source: source('n1') })
    await n2.start({ as: 'standby', follow: source('n1') })
    await caughtUp(n2, n1)
    await reserveTimelinesBelow(n2.dataDir, 14, postgres().osUser)
    await n2.kill()
    await running(n2.start({ as: 'standby', follow: source('n1') }))
    await commit(await connect('n1'), 'insert into fast_rows values (6)')
    await caughtUp(n2, n1)
    expect(await n2.facts()).toMatchObject({ timeline: 10 })
  })

  it('what was lost is found on every timeline behind the fork, not only on the last one', async () => {
    await caughtUp(n2, n1)
    await n2.stop({ mode: 'fast' })
    const { endLsn: forkLsn } = await endOfWal({ dataDir: n2.dataDir })
    const before = await commit(await connect('n1'), 'insert into fast_rows values (7)')
    await n1.stop({ mode: 'fast' })
    await running(n1.start({ as: 'standby' }))
    expect(await n1.promote({ timeline: 12, deadlineMs: 10_000 })).toMatchObject({ timeline: 12 })
    const after = await commit(await connect('n1'), 'insert into fast_rows values (8)')
    await n1.kill()
    const lost = await lostTransactions({ dataDir: n1.dataDir, timeline: 12, forkLsn })
    expect(lost.xids).toEqual([before, after])
    const into = join(workspace.folder, 'reports of two timelines')
    expect(await keepDivergedWal({ dataDir: n1.dataDir, timeline: 12, forkLsn, into })).toEqual(lost)
    const timelines = readdirSync(into)
      .filter((name) => name.length === 24)
      .map((name) => name.slice(0, 8))
    expect(new Set(timelines)).toEqual(new Set(['0000000A', '0000000C']))
  })

  it('a directory that says it is not whole is not started', async () => {
    await n2.start({ as: 'standby' })
    await n2.stop({ mode: 'fast' })
    await markIncomplete(n2.dataDir, 'somebody was here', postgres().osUser)
    expect(await n2.start({ as: 'standby' })).toMatchObject({ kind: 'refused', reason: 'INCOMPLETE' })
    writeFileSync(join(n2.dataDir, 'PG_VERSION'), 'seventeen\n')
    expect((await n2.inspect()).kind).toBe('incomplete')
  })
})
