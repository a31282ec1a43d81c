import type pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import type { PooledRouters } from '../../../test/support/pooled-router.ts'
import { describePostgres, freePort } from '../../../test/support/postgres.ts'
import { eventually } from '../../../test/support/raw-client.ts'
import { ReplicatedRouters, writeRaw } from '../../../test/support/replicated-routers.ts'
import { buildQuery } from '../../wire/session-state.ts'
import type { PoolOptions } from '../pool/pool-options.ts'

describePostgres('the read/write split of the pooled port', (postgres) => {
  let cluster: ReplicatedRouters
  let routers: PooledRouters
  let standbyPort: number
  let admin: pg.Client
  let onStandby: pg.Client

  beforeAll(async () => {
    cluster = new ReplicatedRouters(postgres())
    await cluster.start(`
      create table numbers (n int);
      create function writes() returns int language plpgsql as $$ begin insert into numbers values (0); return 1; end $$;
      create function says_it_reads() returns int language plpgsql stable as $$ begin return nextval('s'); end $$;
      create sequence s;
      grant all on all tables in schema public to public;
      grant all on all sequences in schema public to public;
    `)
    void ({ routers, standbyPort, admin, onStandby } = cluster)
  })
  beforeEach(async () => {
    await admin.query('truncate numbers')
    await cluster.reset()
  })
  afterEach(() => routers.clear())
  afterAll(() => cluster.dispose())

  const split = (changes: Partial<PoolOptions> = {}) => cluster.split(changes)
  const portOf = (client: pg.Client, rest = '') => cluster.portOf(client, rest)
  const reads = async (): Promise<number> => {
    const { rows } = await onStandby.query<{ count: string }>(
      "select pg_stat_clear_snapshot(), count(*) from pg_stat_activity where usename = 'app'",
    )
    return Number(rows[0]?.count)
  }

  const sequenceValue = async (): Promise<number> => {
    const { rows } = await admin.query<{ n: number }>(
      'select case when is_called then last_value else 0 end::int as n from s',
    )
    return rows[0]?.n ?? 0
  }

  it('sends proven reads to a replica and everything else to the primary', async () => {
    const { client } = await split()
    expect(await reads()).toBeGreaterThan(0)
    await client.query('insert into numbers values (1)')
    await client.query('with gone as (delete from numbers returning n) select * from gone')
    expect((await client.query('select writes()')).rows).toEqual([{ writes: 1 }])
    await client.query('select n from numbers for update')
    expect((await client.query('select count(*)::int as n from numbers')).rows).toEqual([{ n: 1 }])
    await client.query('begin')
    expect(await portOf(client)).toBe(routers.port)
    await client.query('commit')
  })

  it('shows in the console what was judged, how often and why', async () => {
    const { client, port } = await split()
    const console = await routers.console(port)
    const shown = async () => {
      const { rows } = await console.query<{ item: string; name: string; value: string }>('SHOW CLASSIFIER')
      const values = new Map(rows.map(({ item, name, value }) => [`${item} ${name}`, Number(value)]))
      return (name: string) => values.get(name) ?? 0
    }
    const before = await shown()
    for (const n of [1, 2, 3]) await client.query(`select ${n} from numbers`)
    await client.query('insert into numbers values (1)')
    const after = await shown()
    const more = (name: string): number => after(name) - before(name)
    expect(more('read READS_ONLY')).toBe(3)
    expect(more('write CHANGES_DATA')).toBe(1)
    expect([more('verdict read'), more('verdict write'), more('verdict unknown')]).toEqual([3, 1, 0])
    expect([more('cache misses'), more('cache hits')]).toEqual([2, 2])
    expect([more('fingerprints READS_ONLY'), more('fingerprints CHANGES_DATA')]).toEqual([1, 1])
    expect(more('cache parse_time_us')).toBeGreaterThan(0)
    expect(after('cache entries')).toBeGreaterThan(1)
  })

  it('a session finds what it has written, however far the replica is behind', async () => {
    const { client } = await split()
    await onStandby.query('select pg_wal_replay_pause()')
    for (let n = 1; n <= 20; n += 1) {
      await client.query('insert into numbers values ($1)', [n])
      const { rows } = await client.query<{ count: number }>('select count(*)::int as count from numbers')
      expect(rows).toEqual([{ count: n }])
    }
    expect(await portOf(client)).toBe(routers.port)
    await onStandby.query('select pg_wal_replay_resume()')
    await eventually(async () => {
      expect(await portOf(client)).toBe(standbyPort)
    }, 20_000)
    expect((await client.query('select count(*)::int as n from numbers')).rows).toEqual([{ n: 20 }])
  })

  it('finds it also under load: no read of many sessions misses what its session wrote', async () => {
    const { port } = await split()
    const sessions = await Promise.all([1, 2, 3, 4].map(() => routers.connect(port)))
    await Promise.all(
      sessions.map(async (client, session) => {
        for (let n = 1; n <= 50; n += 1) {
          await client.query({ name: 'write', text: 'insert into numbers values ($1)', values: [session] })
          const { rows } = await client.query<{ count: number }>({
            name: 'read',
            text: 'select count(*)::int as count from numbers where n = $1',
            values: [session],
          })
          expect(rows).toEqual([{ count: n }])
        }
      }),
    )
  })

  it('reads by the extended protocol and prepared statements go to the replica as well', async () => {
    const { client } = await split()
    const read = async (name?: string) => {
      const text = '/* pg-metako: replica */ select inet_server_port() as port, $1::int as one'
      const { rows } = await client.query<{ port: number }>({ text, values: [1], ...(name ? { name } : {}) })
      return rows[0]?.port
    }
    expect(await read()).toBe(standbyPort)
    expect(await read('named')).toBe(standbyPort)
    expect(await read('named')).toBe(standbyPort)
    await client.query('begin')
    expect(await read('named')).toBe(routers.port)
    await client.query('rollback')
  })

  it('what follows a read in the same packet goes where it belongs', async () => {
    const { client, port } = await split()
    const raw = await routers.connect(port)
    // One packet: a read, a write, a read.
    writeRaw(
      raw,
      Buffer.concat(['select 1', 'insert into numbers values (7)', 'select 2'].map((sql) => buildQuery(sql))),
    )
    await eventually(async () => {
      const { rows } = await client.query('select n from numbers where n = 7 for update')
      expect(rows).toHaveLength(1)
    })
  })

  it('without a replica, or with one that does not answer, the primary reads', async () => {
    const { client } = await split()
    routers.replicas = [{ name: 'n3', host: '127.0.0.1', port: await freePort(), lagBytes: 0 }]
    routers.table()
    await routers.tableSent()
    expect(await portOf(client)).toBe(routers.port)
    routers.replicas = [{ name: 'n2', host: '127.0.0.1', port: standbyPort, lagBytes: 1e9 }]
    routers.table()
    await routers.tableSent()
    expect(await portOf(client)).toBe(routers.port)
    routers.replicas = []
    routers.table()
    await routers.tableSent()
    expect(await portOf(client)).toBe(routers.port)
  })

  it('a function that is changed is judged anew', async () => {
    const { client, port } = await split()
    const other = await routers.connect(port)
    await client.query('create function f() returns int language sql stable as $$select inet_server_port()$$')
    await eventually(async () => {
      const { rows } = await other.query('select f()')
      expect(rows).toEqual([{ f: standbyPort }])
    }, 20_000)
    await client.query(
      'create or replace function f() returns int language sql as $$select inet_server_port()$$',
    )
    expect((await other.query('select f()')).rows).toEqual([{ f: routers.port }])
    await client.query('drop function f()')
  })

  it('what a replica refuses the primary runs, once, and the next time at once', async () => {
    const { client } = await split()
    const before = await sequenceValue()
    // It is declared stable, and writes all the same.
    expect((await client.query('select says_it_reads() as n')).rows).toEqual([{ n: before + 1 }])
    expect(
      (await client.query({ text: 'select says_it_reads() as n where $1 = 1', values: [1] })).rows,
    ).toEqual([{ n: before + 2 }])
    // Nothing was sent twice, and what comes behind it is answered in its turn.
    const answers = await Promise.all(
      [1, 2, 3].map((n) => client.query(`select says_it_reads() as n, ${n} as turn`)),
    )
    expect(answers.map(({ rows }) => rows[0])).toEqual(
      [1, 2, 3].map((turn) => ({ n: before + 2 + turn, turn })),
    )
    expect(await sequenceValue()).toBe(before + 5)
  })

  it('what was refused after the client has seen something is the client’s', async () => {
    const { client } = await split()
    const many = 'select n, case when n = 5000 then says_it_reads() end from generate_series(1, 5000) n'
    await expect(client.query(many)).rejects.toMatchObject({ code: '25006' })
    // A refusal that says nothing about replicas is the statement's own.
    await expect(client.query('select 1 / (select 0)')).rejects.toMatchObject({ code: '22012' })
  })

  it('a replica that is none any more takes its read along, and the session goes on with the primary', async () => {
    const { client } = await split()
    const sleeping = client.query('select pg_sleep(60)')
    await eventually(async () => {
      const { rows } = await onStandby.query("select from pg_stat_activity where wait_event = 'PgSleep'")
      expect(rows).toHaveLength(1)
    }, 20_000)
    routers.replicas = []
    routers.table({ epoch: routers.epoch + 1 })
    await expect(sleeping).rejects.toThrow('the replica is none any more')
    expect(await portOf(client)).toBe(routers.port)
    // It has not noticed, and what it could still look at holds the replay up.
    await onStandby.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'",
    )
  })

  it('reads of a session that left something on the primary stay there', async () => {
    const { client, port } = await split()
    const bound = async (text: string) => {
      const session = await routers.connect(port)
      await eventually(async () => expect(await portOf(session)).toBe(standbyPort), 20_000)
      await session.query(text)
      // Longer than it takes a replica to have the commit.
      await eventually(async () => {
        await client.query('insert into numbers values (1)')
        await eventually(async () => expect(await portOf(client)).toBe(standbyPort), 20_000)
      })
      expect(await portOf(session), text).toBe(routers.port)
      await session.query('discard all')
      await eventually(async () => expect(await portOf(session), text).toBe(standbyPort), 20_000)
    }
    await bound("set work_mem = '1MB'")
    await bound('select pg_advisory_lock(1)')
    await bound('create temp table mine (n int)')
  })

  it('a session says where its reads go, and settings that are carried everywhere bind nothing', async () => {
    const { client } = await split()
    await client.query("set pg_metako.route = 'primary'")
    expect(await portOf(client)).toBe(routers.port)
    await client.query("set application_name = 'x'; set pg_metako.route = 'auto'")
    await eventually(async () => expect(await portOf(client)).toBe(standbyPort), 20_000)
    await client.query("set pg_metako.route = 'replica'")
    await eventually(async () => {
      const { rows } = await client.query('select inet_server_port() as port')
      expect(rows).toEqual([{ port: standbyPort }])
    }, 20_000)
  })

  it('without the setting everything goes to the primary', async () => {
    const { ports } = await routers.router({ defaultPoolSize: 4 })
    const client = await routers.connect(ports.pooled)
    expect(await portOf(client)).toBe(routers.port)
  })
})
