import { ClientError, createPools, type Pools } from '#client'
import { Pool } from 'pg'
import { afterAll, beforeAll, expect, it, onTestFailed } from 'vitest'
import { Cluster } from '../../support/cluster.ts'
import { eventually } from '../../support/eventually.ts'
import { loopbackMachines } from '../../support/loopback-machines.ts'
import type { Machines } from '../../support/machines.ts'
import { withClient } from '../../support/numbered-writer.ts'
import { describePostgres } from '../../support/postgres.ts'

const MIN = 3

describePostgres('pools of an application, with the environment of the Patroni guide', (postgres) => {
  let machines: Machines
  let cluster: Cluster
  let pools: Pools | undefined

  beforeAll(async () => {
    const { folder: binDir } = postgres().binaries
    machines = await loopbackMachines({ count: 3, binDir, mode: 'quorum' })
    cluster = new Cluster(machines)
    cluster.supervise(true)
    cluster.startAll()
    await cluster.waitForHealthy(60_000)
  })
  afterAll(async () => {
    await pools?.end()
    await cluster?.dispose()
  })

  it('follow the primary through a lost node: no read fails, no write is sent twice, none that was answered is lost', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    const env = {
      ENABLE_PATRONI: 'true',
      // One that nobody knows, and the API ports are not those of the guide.
      PATRONI_HOSTS: [
        '127.0.0.1:1',
        ...cluster.nodes.map(({ host, ports }) => `${host}:${ports.api}`),
      ].join(),
      PATRONI_PORT: '8008',
      PATRONI_DB: 'app',
      PATRONI_USER: 'app',
      PATRONI_PASSWORD: machines.appPassword,
      PATRONI_MIN_CONNECTIONS: String(MIN),
      PATRONI_MAX_CONNECTIONS: '8',
      PATRONI_HEALTH_CHECK_INTERVAL: '30',
    }
    const { write, healthCheck } = (pools = await createPools({ Pool, env }))
    const first = await cluster.waitForHealthy(30_000)
    const others = cluster.nodes.filter((node) => node !== first).map(({ name }) => name)
    const health = await healthCheck()
    expect(health).toMatchObject({
      isHealthy: true,
      write: { isHealthy: true, servers: [{ name: first.name, port: first.ports.postgres }] },
      read: { isHealthy: true, servers: others.map((name) => ({ name, isHealthy: true })) },
    })
    await eventually('the least number of connections', async () => {
      const { write: side, read: reads } = await healthCheck()
      return [...side.servers, ...reads.servers].every(({ connections }) => connections.idle >= MIN)
    })

    await write.query('create table kept (id int not null)')
    // A replica has it a moment later.
    for (const node of cluster.nodes) {
      const count = () => withClient(cluster.directUrl(node), (client) => client.query('table kept'))
      await cluster.waitFor('the table on each member', 10_000, () =>
        count().then(
          () => true,
          () => false,
        ),
      )
    }
    const story = application(pools)
    await story.goesOn()
    const epoch = await cluster.epoch()
    cluster.setPower(first, false)
    const next = await cluster.waitForPrimary({ deadlineMs: 20_000, after: epoch })
    await story.goesOn()
    cluster.setPower(first, true)
    await cluster.waitForHealthy(60_000)
    await story.goesOn()
    const { answered, unknown, errors } = await story.end()

    expect(errors).toEqual([])
    // One writer has one write under way.
    expect(unknown.length).toBeLessThanOrEqual(1)
    const { rows } = await write.query<{ id: number }>('select id from kept order by id')
    const there = rows.map(({ id }) => id)
    expect(there.length).toBe(new Set(there).size)
    expect(answered.filter((id) => !there.includes(id))).toEqual([])
    expect(await healthCheck()).toMatchObject({
      isHealthy: true,
      write: { servers: [{ name: next.name, isHealthy: true }] },
      read: { isHealthy: true, servers: [{ isHealthy: true }, { isHealthy: true }] },
    })

    const client = await write.connect()
    await client.query('begin')
    await client.query('insert into kept values (-1)')
    await client.query('rollback')
    client.release()
    expect((await write.query('select 1 from kept where id = -1')).rowCount).toBe(0)
  })

  /** Writes one row after another, and reads beside it, until it is told to end. */
  function application({ write, read }: Pools) {
    const [answered, unknown, errors]: [number[], number[], unknown[]] = [[], [], []]
    let [isOver, reads] = [false, 0]
    const writing = (async () => {
      for (let id = 1; !isOver; id += 1) {
        try {
          await write.query('insert into kept values ($1)', [id])
          answered.push(id)
        } catch (error) {
          if (error instanceof ClientError && error.code === 'OUTCOME_UNKNOWN') unknown.push(id)
          else errors.push(error)
        }
      }
    })()
    const reading = (async () => {
      while (!isOver) {
        await read.query('select count(*) from kept').catch((error: unknown) => errors.push(error))
        reads += 1
      }
    })()
    return {
      goesOn: async () => {
        const before = { answered: answered.length, reads }
        await cluster.waitFor(
          'writes and reads',
          30_000,
          () => answered.length >= before.answered + 20 && reads >= before.reads + 20,
        )
      },
      end: async () => {
        isOver = true
        await Promise.all([writing, reading])
        return { answered, unknown, errors }
      },
    }
  }
})
