import type pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import type { PooledRouters } from '../../../test/support/pooled-router.ts'
import { describePostgres } from '../../../test/support/postgres.ts'
import { eventually } from '../../../test/support/raw-client.ts'
import { ReplicatedRouters } from '../../../test/support/replicated-routers.ts'
import type { PoolOptions } from '../pool/pool-options.ts'

describePostgres('what reads find that go to a replica', (postgres) => {
  let cluster: ReplicatedRouters
  let routers: PooledRouters

  beforeAll(async () => {
    cluster = new ReplicatedRouters(postgres())
    await cluster.start('create table numbers (n int); grant all on numbers to public')
    void ({ routers } = cluster)
  })
  beforeEach(async () => {
    await cluster.onStandby.query('select pg_wal_replay_resume()')
    await cluster.admin.query('truncate numbers')
    await cluster.reset()
  })
  afterEach(async () => {
    await cluster.onStandby.query('select pg_wal_replay_resume()')
    await routers.clear()
  })
  afterAll(() => cluster.dispose())

  /** A client whose replica stands still from now on, while others commit a row. */
  const behind = async (changes: Partial<PoolOptions> = {}): Promise<pg.Client> => {
    const { client } = await cluster.split(changes)
    await cluster.caughtUp()
    await cluster.onStandby.query('select pg_wal_replay_pause()')
    await cluster.admin.query('insert into numbers values (1)')
    return client
  }
  const count = async (client: pg.Client): Promise<number | undefined> => {
    const { rows } = await client.query<{ n: number }>('select count(*)::int as n from numbers')
    return rows[0]?.n
  }
  const lags = async (lagBytes: number): Promise<void> => {
    routers.replicas = [{ name: 'n2', host: '127.0.0.1', port: cluster.standbyPort, lagBytes }]
    routers.table()
    await routers.tableSent()
  }

  it('is never older than what the session has read before, also on the primary', async () => {
    const client = await behind()
    expect(await count(client)).toBe(0)
    // The replica is too far behind for a while, and then it looks as if it were not.
    await lags(1e9)
    expect(await count(client)).toBe(1)
    await lags(0)
    for (const _ of [1, 2, 3]) expect(await count(client)).toBe(1)
    await cluster.onStandby.query('select pg_wal_replay_resume()')
    await eventually(async () => expect(await cluster.portOf(client)).toBe(cluster.standbyPort), 20_000)
    expect(await count(client)).toBe(1)
  })

  it('comes from the replica again as soon as that has it, however fast the session reads', async () => {
    const { client } = await cluster.split()
    await lags(1e9)
    expect(await cluster.portOf(client)).toBe(routers.port)
    await lags(0)
    // Each of these has seen what the one before it saw, on the primary.
    await eventually(async () => expect(await cluster.portOf(client)).toBe(cluster.standbyPort), 20_000)
  })

  it.each([
    ['of all', { consistency: 'eventual' }],
    ['of a database', { databases: [{ name: 'app', consistency: 'eventual' }] }],
    ['of a user', { consistency: 'session', users: [{ name: 'app', consistency: 'eventual' }] }],
  ] as const)('is whatever there is at the level eventual %s', async (_, changes) => {
    const client = await behind(changes)
    await client.query('insert into numbers values (2)')
    expect(await count(client)).toBe(0)
    // A session may want more than others do.
    await client.query("set pg_metako.consistency = 'session'")
    expect(await count(client)).toBe(2)
    await client.query('reset pg_metako.consistency')
    expect(await count(client)).toBe(0)
  })

  it('is the primary’s for a session that asks for a level that is none', async () => {
    const { client } = await cluster.split()
    await client.query("set pg_metako.consistency = 'strong'")
    expect(await cluster.portOf(client)).toBe(routers.port)
    await client.query("set pg_metako.consistency = 'eventual'")
    expect(await cluster.portOf(client)).toBe(cluster.standbyPort)
  })

  it('is not older than the limit, by time and by bytes', async () => {
    const client = await behind({ consistency: 'eventual', maxReplicaLagMs: 200, maxReplicaLagBytes: 1000 })
    await eventually(async () => expect(await count(client)).toBe(1))
    await cluster.onStandby.query('select pg_wal_replay_resume()')
    await eventually(async () => expect(await cluster.portOf(client)).toBe(cluster.standbyPort), 20_000)
    await lags(1001)
    expect(await cluster.portOf(client)).toBe(routers.port)
    await lags(1000)
    await eventually(async () => expect(await cluster.portOf(client)).toBe(cluster.standbyPort), 20_000)
  })
})
