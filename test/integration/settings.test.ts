import { afterAll, beforeAll, expect, it, onTestFailed } from 'vitest'
import { Cluster } from '../support/cluster.ts'
import { loopbackMachines } from '../support/loopback-machines.ts'
import { connectTo, createNumberedTable, NumberedWriter } from '../support/numbered-writer.ts'
import type { TestNode } from '../support/machines.ts'
import { describePostgres } from '../support/postgres.ts'

describePostgres('settings of the whole cluster', (postgres) => {
  let cluster: Cluster

  beforeAll(async () => {
    const { folder: binDir } = postgres().binaries
    const configure = (text: string, node: string): string =>
      node === 'node3' ? text.replace('  parameters:\n', '  parameters:\n    work_mem: 7MB\n') : text
    cluster = new Cluster(await loopbackMachines({ count: 3, binDir, mode: 'quorum', configure }))
    cluster.startAll()
    await cluster.waitForHealthy(60_000)
  })
  afterAll(() => cluster?.dispose())

  const edit = (...words: readonly string[]) => {
    const [node] = cluster.nodes
    return cluster.runOn(node!, ['edit-config', ...words, '--force', '--config', node!.configFile])
  }
  const valueOn = async (node: TestNode, name: string): Promise<string> => {
    const client = await connectTo(cluster.directUrl(node))
    try {
      const { rows } = await client.query<{ setting: string }>('select current_setting($1) as setting', [
        name,
      ])
      return rows[0]!.setting
    } finally {
      await client.end()
    }
  }
  const values = (name: string) => Promise.all(cluster.nodes.map((node) => valueOn(node, name)))

  it('are in force on every member at once, but where its own config file says otherwise', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    const { code, err } = await edit('--pg', 'work_mem=5MB', '--pg', 'log_statement=ddl')
    expect([code, err]).toEqual([0, ''])
    await cluster.waitFor('all to have it', 10_000, async () =>
      (await values('log_statement')).every((value) => value === 'ddl'),
    )
    expect(await values('work_mem')).toEqual(['5MB', '5MB', '7MB'])
  })

  it('are refused with place and rule where PostgreSQL would not take them, and the old ones stay', async () => {
    for (const [word, rule] of [
      ['work_mem=1kB', 'must be from 64'],
      ['max_conections=5', 'is no parameter of this PostgreSQL'],
      ['log_statement=some', 'must be one of'],
      ['fsync=off', 'a crash would destroy acknowledged data'],
    ] as const) {
      const { code, err } = await edit('--pg', 'work_mem=6MB', '--pg', word)
      expect(
        [code, err.includes(`postgresql.parameters.${word.split('=')[0]}`), err.includes(rule)],
        err,
      ).toEqual([1, true, true])
    }
    expect((await values('work_mem'))[0]).toBe('5MB')
  })

  it('that need a restart wait for it, are told, and are in force after a rolling one; less is possible too', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    const [node] = cluster.nodes
    const names = cluster.nodes.map(({ name }) => name)
    // A standby keeps at least what its primary last ran with: it follows when it is started next.
    for (const [wanted, waiting] of [
      ['12', names],
      ['6', [(await cluster.waitForHealthy(20_000)).name]],
    ] as const) {
      const { out } = await edit('--pg', `max_worker_processes=${wanted}`)
      const told = names.filter((name) =>
        out.includes(`On "${name}" waits for a restart: max_worker_processes`),
      )
      expect(told).toEqual(waiting)
      const restarted = await cluster.runOn(node!, [
        'restart',
        '--pending',
        '--force',
        '--config',
        node!.configFile,
      ])
      expect([restarted.code, restarted.err]).toEqual([0, ''])
      const primary = await cluster.waitForHealthy(30_000)
      expect(await valueOn(primary, 'max_worker_processes')).toBe(wanted)
    }
  })

  it('change how commits wait, to and fro, while somebody writes; and how far behind a successor may be', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    const names = () => valueOn(cluster.nodes[0]!, 'synchronous_standby_names')
    const primary = await cluster.waitForHealthy(30_000)
    const writer = new NumberedWriter({ url: cluster.directUrl(primary), number: 1, everyMs: 10 })
    await createNumberedTable(cluster.directUrl(primary))
    writer.start()
    const [first] = cluster.nodes
    expect(primary).toBe(first)
    for (const [words, wanted] of [
      [['synchronous_mode=true', 'synchronous_mode_strict=true'], /^FIRST 1/],
      [['synchronous_mode=false', 'synchronous_mode_strict='], /^$/],
      [['synchronous_mode=quorum', 'synchronous_node_count=2'], /^ANY 2/],
      [['synchronous_mode=', 'synchronous_node_count='], /^ANY 1/],
    ] as const) {
      const { code, err } = await edit(...words.flatMap((word) => ['--set', word]))
      expect([code, err]).toEqual([0, ''])
      await cluster.waitFor(`names like ${wanted}`, 20_000, async () => wanted.test(await names()))
      const since = performance.now()
      await cluster.waitFor('a commit', 10_000, () => writer.acknowledgedSince(since) > 0)
    }
    const writes = await writer.stop()
    expect(writes.filter(({ outcome }) => outcome !== 'acknowledged')).toEqual([])
    const refused = await edit('--set', 'maximum_lag_on_failover=16MB')
    expect([refused.code, refused.err.includes('must be a number of bytes')]).toEqual([1, true])
    expect((await edit('--set', 'maximum_lag_on_failover=16777216')).code).toBe(0)
  })

  it('outlive the agents and PostgreSQL', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    await cluster.stopAll(20_000)
    cluster.startAll()
    await cluster.waitForHealthy(60_000)
    expect(await values('work_mem')).toEqual(['5MB', '5MB', '7MB'])
  })

  it('that were lowered halt nobody whose primary still has more: all replay after each change of it', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    const [node] = cluster.nodes
    const own = ['--config', node!.configFile]
    await edit('--pg', 'max_prepared_transactions=20')
    expect((await cluster.runOn(node!, ['restart', '--pending', '--force', ...own])).code).toBe(0)
    await edit('--pg', 'max_prepared_transactions=5')
    const primary = await cluster.waitForHealthy(30_000)
    // The primary alone has less now, and comes back under one that has more.
    expect((await cluster.runOn(primary, ['restart', primary.name, '--force', ...own])).code).toBe(0)
    for (const next of cluster.nodes.filter((one) => one !== primary)) {
      await cluster.waitForHealthy(30_000)
      await cluster.switchover(next)
      await cluster.waitForHealthy(60_000)
      const client = await connectTo(cluster.directUrl(next))
      await client.query(`create table replayed_${next.name} as select 1 as one`)
      await client.end()
      await cluster.waitFor('all to replay it', 15_000, async () =>
        (await Promise.all(cluster.nodes.map((one) => hasTable(one, `replayed_${next.name}`)))).every(
          Boolean,
        ),
      )
    }
  })

  async function hasTable(node: TestNode, name: string): Promise<boolean> {
    const client = await connectTo(cluster.directUrl(node))
    try {
      return (await client.query('select to_regclass($1) as found', [name])).rows[0].found !== null
    } finally {
      await client.end()
    }
  }
})
