import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../../test/support/eventually.ts'
import {
  describePostgres,
  freePort,
  makeFolder,
  running,
  SUPERUSER,
  Workspace,
} from '../../test/support/postgres.ts'
import type { CloneProgress } from './clone.ts'
import { endOfWal } from './end-of-wal.ts'
import type { Instance } from './instance.ts'
import { missingWal } from './rewind.ts'

const parameters = { shared_buffers: '16MB', max_connections: '30', autovacuum: 'off', wal_keep_size: '64MB' }
const SQL_MS = 10_000

describePostgres('an old primary that diverged', (postgres) => {
  let workspace: Workspace
  const ports = { n1: 0, n2: 0 }
  const instances = {} as Record<'n1' | 'n2', Instance>
  type Name = keyof typeof instances

  const source = (name: Name) => ({ host: '127.0.0.1', port: ports[name] })
  const sql = async (name: Name, ...statements: readonly string[]): Promise<pg.QueryResult> => {
    const { name: user, password } = SUPERUSER
    const client = new pg.Client({ ...source(name), user, password, database: 'postgres' })
    client.on('error', () => {})
    await client.connect()
    try {
      let last: pg.QueryResult | undefined
      for (const statement of statements) last = await client.query(statement)
      return last as pg.QueryResult
    } finally {
      await client.end()
    }
  }
  const caughtUp = (standby: Name, primary: Name) =>
    eventually('it caught up', async () => {
      const [behind, ahead] = [await instances[standby].facts(), await instances[primary].facts()]
      return behind.streaming === true && behind.replayLsn === ahead.flushLsn
    })
  const rowsOf = async (name: Name) =>
    (await sql(name, 'select count(*)::int as count, sum(n)::bigint as sum from rows')).rows[0]
  const asideOf = (name: Name) =>
    readdirSync(workspace.folder).filter((entry) => entry.startsWith(`${name}.before-`))

  /** n1 has a commit that n2, the new primary, has not; `meanwhile` runs on n1 between the fork and its end. */
  async function diverge(end: 'crash' | 'shutdown', meanwhile?: () => Promise<void>): Promise<void> {
    const { n1, n2 } = instances
    await n2.stop({ mode: 'fast' })
    await sql('n1', 'insert into rows select n from generate_series(1000001, 1001000) n')
    await meanwhile?.()
    if (end === 'crash') await n1.kill()
    else await n1.stop({ mode: 'fast' })
    await running(n2.start({ as: 'standby' }))
    expect(await n2.promote({ deadlineMs: 10_000 })).toMatchObject({ kind: 'promoted' })
    await sql('n2', 'insert into rows select n from generate_series(2000001, 2001000) n')
    await n2.ensureSlots(['n1'], SQL_MS)
  }

  beforeEach(async () => {
    workspace = new Workspace(postgres())
    for (const name of ['n1', 'n2'] as const) {
      ports[name] = await freePort()
      instances[name] = await workspace.instance(name, { port: ports[name], parameters, useSlots: true })
    }
    const { n1, n2 } = instances
    await n1.initialise({ users: [], databases: [], initdbArgs: [] })
    await running(n1.start({ as: 'primary' }))
    await sql('n1', 'create table rows (n int primary key)')
    await sql('n1', 'insert into rows select n from generate_series(1, 100000) n', 'checkpoint')
    await n1.ensureSlots(['n2'], SQL_MS)
    await n2.clone({ source: source('n1') })
    await running(n2.start({ as: 'standby', follow: source('n1') }))
    await caughtUp('n2', 'n1')
  })
  afterEach(() => workspace.dispose())

  it('is not rewound where there is no pg_rewind, and says so', async () => {
    const { n1 } = instances
    await diverge('crash')
    if (postgres().binaries.hasRewind) {
      expect(await n1.rewindObstacle()).toBeUndefined()
      return
    }
    expect(await n1.rewindObstacle()).toContain('there is no pg_rewind')
    await expect(n1.rewind({ source: source('n2') })).rejects.toMatchObject({ code: 'REWIND_REFUSED' })
    expect((await n1.inspect()).kind).toBe('instance')
    expect(asideOf('n1')).toEqual([])
  })

  // The embedded PostgreSQL has no such program: there is nothing to leave out.
  describe.each(postgres().binaries.hasRewind ? ['pg_rewind'] : [])('by %s', () => {
    it.each(['crash', 'shutdown'] as const)('comes back after a %s with files of its own', async (end) => {
      const { n1, n2 } = instances
      await diverge(end)
      const before = await n1.inspect()
      // What pg_rewind brings is n2's.
      writeFileSync(join(n2.dataDir, 'postgresql.auto.conf'), `primary_conninfo = 'host=elsewhere'\n`)
      const seen: CloneProgress[] = []
      const result = await n1.rewind({ source: source('n2'), onProgress: (one) => seen.push(one) })
      expect(result.bytes).toBeGreaterThan(0)
      expect(seen.at(-1)?.bytesDone).toBe(result.bytes)
      expect(readFileSync(`${n1.dataDir}.rewind.log`, 'utf8')).toContain('Done!')
      expect(asideOf('n1')).toEqual([])

      const after = await n1.inspect()
      if (before.kind !== 'instance' || after.kind !== 'instance') throw new Error('no instance')
      expect(after.incarnation).toBe(result.incarnation)
      expect(after.incarnation).not.toBe(before.incarnation)
      expect(existsSync(join(n1.dataDir, 'standby.signal'))).toBe(true)
      expect(readFileSync(join(n1.dataDir, 'pg-metako.conf'), 'utf8')).toContain(`port = '${ports.n1}'`)
      expect(readFileSync(join(n1.dataDir, 'postgresql.auto.conf'), 'utf8')).not.toContain('elsewhere')

      // What is said of it before it has ever run: not more than what lies there, and on the new history.
      const { flushLsn = '' } = await n2.facts()
      const told = await endOfWal({ dataDir: n1.dataDir })
      expect(told.timeline).toBe((await n2.facts()).timeline)
      expect(told.endLsn <= flushLsn).toBe(true)

      await running(n1.start({ as: 'standby', follow: source('n2') }))
      await caughtUp('n1', 'n2')
      expect(await rowsOf('n1')).toEqual(await rowsOf('n2'))
      expect((await sql('n1', 'select n from rows where n between 1000001 and 1001000')).rows).toEqual([])
    })

    it('is nothing that starts when pg_rewind is killed in its middle, and a clone replaces it', async () => {
      const { n1 } = instances
      await diverge('crash', async () => {
        await sql('n1', 'update rows set n = -n')
      })
      const rewinding = n1.rewind({ source: source('n2') })
      rewinding.catch(() => undefined)
      await eventually('pg_rewind works on what was set aside', async () => {
        for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
          const words = readIfPresent(`/proc/${pid}/cmdline`).split('\0')
          const isOurs = words[0]?.endsWith('/pg_rewind') && words[1]?.includes(`${n1.dataDir}.before-`)
          if (isOurs) return process.kill(Number(pid), 'SIGKILL')
        }
        return false
      })
      await expect(rewinding).rejects.toMatchObject({ code: 'PG_TOOL_FAILED' })
      expect(await n1.inspect()).toEqual({ kind: 'absent' })
      expect(await n1.start({ as: 'standby' })).toMatchObject({ kind: 'refused', reason: 'NO_INSTANCE' })
      expect(asideOf('n1')).toHaveLength(1)

      await n1.clone({ source: source('n2') })
      await running(n1.start({ as: 'standby', follow: source('n2') }))
      await caughtUp('n1', 'n2')
      expect(await rowsOf('n1')).toEqual(await rowsOf('n2'))
      expect(await n1.removeSetAside(0)).toHaveLength(1)
      expect(asideOf('n1')).toEqual([])
    })

    it('is not used when the WAL that it needs is gone here', async () => {
      const { n1 } = instances
      await diverge('crash')
      const wal = join(n1.dataDir, 'pg_wal')
      const segments = readdirSync(wal).filter((name) => /^[0-9A-F]{24}$/.test(name))
      for (const name of segments) rmSync(join(wal, name))
      await expect(n1.rewind({ source: source('n2') })).rejects.toMatchObject({ code: 'PG_TOOL_FAILED' })
      expect(await n1.inspect()).toEqual({ kind: 'absent' })
    })

    it('gets the WAL that is gone here from an archive, where there is one', async () => {
      await diverge('crash')
      const archive = makeFolder(workspace, 'archive')
      const wal = join(instances.n1.dataDir, 'pg_wal')
      for (const name of readdirSync(wal)) {
        if (!/^[0-9A-F]{24}$/.test(name)) continue
        copyFileSync(join(wal, name), join(archive, name))
        workspace.own(join(archive, name))
      }
      await instances.n1.start({ as: 'standby' })
      await instances.n1.stop({ mode: 'fast' })
      for (const name of readdirSync(wal)) if (/^[0-9A-F]{24}$/.test(name)) rmSync(join(wal, name))
      const restore = { ...parameters, restore_command: `cp ${archive}/%f %p` }
      const n1 = await workspace.instance('n1', { port: ports.n1, parameters: restore, useSlots: true })
      await n1.rewind({ source: source('n2') })
      await running(n1.start({ as: 'standby', follow: source('n2') }))
      await caughtUp('n1', 'n2')
      expect(await n1.inspect()).toMatchObject({ kind: 'instance' })
    })

    it('is known for one that cannot start when the WAL to recover from is not there', async () => {
      const { n1 } = instances
      await diverge('crash')
      await n1.rewind({ source: source('n2') })
      expect(await missingWal(n1.dataDir)).toBeUndefined()
      const wal = join(n1.dataDir, 'pg_wal')
      for (const name of readdirSync(wal)) if (name.length === 24) rmSync(join(wal, name))
      expect(await missingWal(n1.dataDir)).toMatch(/^[0-9A-F]{24}$/)
    })

    it('is left as it is while its source does not answer, is no primary, or lets nobody read', async () => {
      const { n1, n2 } = instances
      await diverge('crash')
      const nobody = { host: '127.0.0.1', port: await freePort() }
      await expect(n1.rewind({ source: nobody })).rejects.toMatchObject({ code: 'REWIND_REFUSED' })
      await sql('n2', 'revoke execute on function pg_catalog.pg_read_binary_file(text) from replicator')
      const forbidden = n1.rewind({ source: source('n2') })
      await expect(forbidden).rejects.toThrow('role "replicator" may not read the files')
      await n2.allowRewind(SQL_MS)
      expect((await n1.inspect()).kind).toBe('instance')
      await n2.stop({ mode: 'fast' })
      await running(n2.start({ as: 'standby' }))
      await expect(n1.rewind({ source: source('n2') })).rejects.toThrow('is no primary')
      expect((await n1.inspect()).kind).toBe('instance')
      expect(asideOf('n1')).toEqual([])
      await n2.promote({ deadlineMs: 10_000 })
      await n1.rewind({ source: source('n2') })
      await running(n1.start({ as: 'standby', follow: source('n2') }))
      await caughtUp('n1', 'n2')
    })
  })
})

function readIfPresent(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
