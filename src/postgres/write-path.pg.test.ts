import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { eventually } from '../../test/support/eventually.ts'
import { describePostgres, running, SUPERUSER, Workspace } from '../../test/support/postgres.ts'
import { NOBODY } from '../model/ack-rule.ts'
import { signalProcess } from '../platform/process.ts'
import type { Instance } from './instance.ts'
import { instanceProcesses } from './process-tree.ts'

const CONNECTIONS_MAX = 8

describePostgres('the tries to write at one instance', (postgres) => {
  let workspace: Workspace
  let instance: Instance

  beforeAll(async () => {
    workspace = new Workspace(postgres())
    instance = await workspace.instance('n1', {
      parameters: { shared_buffers: '16MB', max_connections: String(CONNECTIONS_MAX), max_wal_senders: '2' },
    })
    await instance.initialise({ users: [], databases: [], initdbArgs: [] })
    await running(instance.start({ as: 'primary' }))
  })
  afterAll(() => workspace.dispose())

  const query = async (text: string) =>
    (await instance.query<{ value: string }>(text, [], 5000)).map(({ value }) => value)
  const connect = async () => {
    const [port] = await query(`select current_setting('port') as value`)
    const { name: user, password } = SUPERUSER
    const client = new pg.Client({
      host: '127.0.0.1',
      port: Number(port),
      user,
      password,
      database: 'postgres',
    })
    client.on('error', () => {})
    await client.connect()
    return client
  }
  const probePids = () =>
    query(`select pid::text as value from pg_stat_activity where application_name = 'pg-metako probe'`)

  it('are commits that are flushed, on one connection, and leave no row behind', async () => {
    const [before = ''] = await query('select pg_current_wal_flush_lsn()::text as value')
    expect(await instance.tryCommit({ anew: false })).toBe('committed')
    const pids = await probePids()
    expect(pids).toHaveLength(1)
    expect(await query(`select (pg_current_wal_flush_lsn() > '${before}'::pg_lsn)::text as value`)).toEqual([
      'true',
    ])
    expect(await instance.tryCommit({ anew: false })).toBe('committed')
    expect(await probePids()).toEqual(pids)
    expect(await instance.tryCommit({ anew: true })).toBe('committed')
    await eventually('the connection to be another one', async () => {
      const [pid, ...more] = await probePids()
      return more.length === 0 && pid !== undefined && pid !== pids[0]
    })
    expect(await query(`select count(*)::text as value from pg_stat_user_tables`)).toEqual(['0'])
  })

  it('wait for no standby', async () => {
    await instance.settings.setSynchronousNames(NOBODY, 5000)
    expect(await instance.tryCommit({ anew: true })).toBe('committed')
    await instance.settings.setSynchronousNames('', 5000)
  })

  it('do not come back while all processes stand still, and all wait for the same answer', async () => {
    const processes = instanceProcesses(instance.dataDir)
    for (const { pid } of processes) signalProcess(pid, 'SIGSTOP')
    let outcome: string | undefined
    const trying = instance.tryCommit({ anew: false }).then((one) => (outcome = one))
    const again = instance.tryCommit({ anew: true })
    await eventually('all to stand still', () =>
      instanceProcesses(instance.dataDir).every(({ state }) => state === 'T'),
    )
    expect(outcome).toBeUndefined()
    for (const { pid } of processes) signalProcess(pid, 'SIGCONT')
    expect([await trying, await again]).toEqual(['committed', 'committed'])
  })

  it('have a slot of the reserved ones; without any they say so, and are made again when there is one', async () => {
    const clients: pg.Client[] = []
    const fill = async (): Promise<string | undefined> => {
      try {
        clients.push(await connect())
        return undefined
      } catch (error) {
        return (error as { code?: string }).code
      }
    }
    expect(await instance.tryCommit({ anew: false })).toBe('committed')
    let refusal: string | undefined
    for (let count = 0; count <= CONNECTIONS_MAX && refusal === undefined; count += 1) refusal = await fill()
    expect(refusal).toBe('53300')
    expect(await instance.tryCommit({ anew: false }), 'a connection that is there stays').toBe('committed')
    const [pid] = await probePids()
    await query(`select pg_terminate_backend(${pid})::text as value`)
    await eventually('its place to be taken', async () => (await fill()) === undefined)
    await eventually('no slot', async () => (await instance.tryCommit({ anew: false })) === 'no-slot')
    await Promise.all(clients.map((client) => client.end()))
    await eventually('a slot', async () => (await instance.tryCommit({ anew: false })) === 'committed')
  })

  it('make a file durable beside the WAL, which is gone then, and say how much room there is', async () => {
    await Promise.all([instance.walDisk.sync(), instance.walDisk.sync()])
    expect(readdirSync(join(instance.dataDir, 'pg_wal')).filter((name) => name.includes('metako'))).toEqual(
      [],
    )
    expect(await instance.walDisk.roomBytes()).toBeGreaterThan(0)
  })

  it('end at once with the instance, also one that never came back', async () => {
    for (const { pid } of instanceProcesses(instance.dataDir)) signalProcess(pid, 'SIGSTOP')
    const trying = instance.tryCommit({ anew: false })
    expect(await instance.kill()).toMatchObject({ kind: 'dead', stuck: [] })
    expect(await trying).toBe('refused')
    expect(await instance.tryCommit({ anew: false })).toBe('refused')
  })
})
