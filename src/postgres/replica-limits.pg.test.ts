import { afterAll, beforeAll, expect, it } from 'vitest'
import { eventually } from '../../test/support/eventually.ts'
import { describePostgres, freePort, running, SUPERUSER, Workspace } from '../../test/support/postgres.ts'
import { withClient } from '../../test/support/numbered-writer.ts'
import type { Instance } from './instance.ts'

/** PostgreSQL stops replay where a standby has less of one of these than its primary runs with. */
describePostgres('limits that a standby shares with its primary', (postgres) => {
  let workspace: Workspace
  let primary: Instance
  let standby: Instance
  const ports = { primary: 0, standby: 0 }
  const source = () => ({ host: '127.0.0.1', port: ports.primary })

  beforeAll(async () => {
    workspace = new Workspace(postgres())
    ports.primary = await freePort()
    ports.standby = await freePort()
    const parameters = { shared_buffers: '16MB', max_connections: '30', autovacuum: 'off' }
    primary = await workspace.instance('n1', { port: ports.primary, parameters })
    standby = await workspace.instance('n2', { port: ports.standby, parameters })
    await primary.initialise({ users: [], databases: [], initdbArgs: [] })
    await running(primary.start({ as: 'primary' }))
    await standby.clone({ source: source(), onProgress: () => undefined })
  })
  afterAll(() => workspace.dispose())

  /** As an operator who edits its file. */
  const restartedWith = async (maxConnections: string): Promise<void> => {
    await primary.stop({ mode: 'fast' })
    primary = await workspace.instance('n1', {
      port: ports.primary,
      parameters: { shared_buffers: '16MB', max_connections: maxConnections, autovacuum: 'off' },
    })
    await running(primary.start({ as: 'primary' }))
  }
  const url = (port: number) =>
    `postgresql://${SUPERUSER.name}:${encodeURIComponent(SUPERUSER.password)}@127.0.0.1:${port}/postgres`
  const limitOn = (port: number) =>
    withClient(url(port), async (client) => {
      const { rows } = await client.query<{ max_connections: string }>('show max_connections')
      return Number(rows[0]?.max_connections)
    })

  it('are as high as the primary runs with when it starts, whatever the standby remembers', async () => {
    await restartedWith('60')
    await running(standby.start({ as: 'standby', follow: source() }))
    expect(await limitOn(ports.standby)).toBe(60)
    await eventually('it streams', async () => (await standby.facts()).streaming)
  })

  it('that the primary raised meanwhile halt the standby: it says so, does not count as streaming, and goes on after a start', async () => {
    await restartedWith('90')
    const halted = await eventually('it says that it is halted', async () => {
      const facts = await standby.facts()
      return facts.walReplayPaused ? facts : undefined
    })
    expect(halted.streaming).toBe(false)
    expect(halted.trouble).toContain('max_connections is 60 here and 90 on its primary')
    await standby.stop({ mode: 'fast' })
    await running(standby.start({ as: 'standby', follow: source() }))
    expect(await limitOn(ports.standby)).toBe(90)
    await withClient(url(ports.primary), (client) => client.query('create table replayed (n int)'))
    await eventually('it replays', async () => {
      const [behind, ahead] = [await standby.facts(), await primary.facts()]
      return behind.streaming === true && behind.replayLsn === ahead.flushLsn
    })
  })
})
