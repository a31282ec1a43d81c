import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it, onTestFailed } from 'vitest'
import { Cluster } from '../../support/cluster.ts'
import { hasEtcd, startEtcdCluster, FIRST_TOKEN, type EtcdCluster } from '../../support/etcd-cluster.ts'
import type { TestNode } from '../../support/machines.ts'
import { connectTo } from '../../support/numbered-writer.ts'
import { patroniMachines } from '../../support/patroni-machines.ts'
import { describePostgres } from '../../support/postgres.ts'

/** Of the file's ttl; nobody takes over by lease before most of it is over. */
const TTL_MS = 30_000

/** The guide's file on three nodes and a real etcd, as somebody would start it who had Patroni there yesterday. */
describe.runIf(hasEtcd() || process.env['PG_METAKO_TEST_REQUIRE'] === 'all')('a patroni.yml', () => {
  describePostgres('runs as it is', (postgres) => {
    let etcd: EtcdCluster
    let cluster: Cluster

    beforeAll(async () => {
      etcd = await startEtcdCluster({ count: 3 })
      const { folder: binDir } = postgres().binaries
      const hosts = etcd.names.map((name) => new URL(etcd.url(name)).host)
      cluster = new Cluster(await patroniMachines({ count: 3, binDir, etcd: hosts }))
      cluster.supervise(true)
      cluster.startAll()
      try {
        await cluster.waitForHealthy(90_000)
      } catch (error) {
        console.error(cluster.logTails())
        throw error
      }
    })
    afterAll(async () => {
      await cluster?.dispose()
      await etcd?.dispose()
    })

    const urlOf = (node: TestNode) =>
      `postgresql://postgres:postgres_password_change_me@127.0.0.1:${node.ports.postgres}/postgres`
    const ask = async (node: TestNode, text: string): Promise<readonly Record<string, unknown>[]> => {
      const client = await connectTo(urlOf(node))
      try {
        return (await client.query<Record<string, unknown>>(text)).rows
      } finally {
        await client.end()
      }
    }

    it('with its settings, its roles and its rules for who may connect', async () => {
      onTestFailed(() => console.error(cluster.logTails()))
      const primary = await cluster.waitForHealthy(30_000)
      const settings = await ask(
        primary,
        "select name, setting from pg_settings where name in ('shared_buffers', 'max_connections', 'work_mem', 'hot_standby_feedback') order by name",
      )
      expect(settings.map(({ name, setting }) => `${String(name)}=${String(setting)}`)).toEqual([
        'hot_standby_feedback=on',
        'max_connections=100',
        'shared_buffers=262144',
        'work_mem=10485',
      ])
      const roles = await ask(primary, "select rolname from pg_roles where rolname !~ '^pg_' order by 1")
      expect(roles.map(({ rolname }) => rolname)).toEqual(['admin', 'postgres', 'replicator'])
      const admin = await connectTo(
        `postgresql://admin:admin_password_change_me@127.0.0.1:${primary.ports.postgres}/postgres`,
      )
      await admin.end()
    })

    it('replicates, and the REST API says who is what', async () => {
      onTestFailed(() => console.error(cluster.logTails()))
      const primary = await cluster.waitForHealthy(30_000)
      await ask(primary, 'create table seen (it int); insert into seen values (42)')
      for (const node of cluster.nodes) {
        await cluster.waitFor(`the row on ${node.name}`, 10_000, async () => {
          const rows = await ask(node, 'select it from seen').catch(() => [])
          return rows[0]?.['it'] === 42
        })
        const isPrimary = node === primary
        const status = async (path: string) => (await fetch(`${node.api}${path}`)).status
        expect([await status('leader'), await status('replica')]).toEqual(isPrimary ? [200, 503] : [503, 200])
      }
      const document = (await (await fetch(`${primary.api}cluster`)).json()) as {
        members: readonly { name: string; role: string; state: string }[]
      }
      expect(document.members.map(({ name, role, state }) => `${name} ${role} ${state}`).toSorted()).toEqual(
        cluster.nodes.map(
          ({ name }) => `${name} ${name === primary.name ? 'leader running' : 'replica streaming'}`,
        ),
      )
    })

    it('says once at its start what each key does not do', () => {
      for (const { logFile } of cluster.nodes) {
        const notes = readFileSync(logFile, 'utf8')
          .split('\n')
          .filter((line) => line.includes('does nothing here'))
          .map((line) => (JSON.parse(line) as { key: string }).key)
        expect(notes).toEqual(['bootstrap.dcs.loop_wait', 'bootstrap.dcs.retry_timeout', 'postgresql.pgpass'])
      }
    })

    it('hands over when it is asked to', async () => {
      onTestFailed(() => console.error(cluster.logTails()))
      const old = await cluster.waitForHealthy(30_000)
      const next = cluster.nodes.find((node) => node !== old)!
      await cluster.switchover(next)
      expect((await cluster.waitForHealthy(45_000)).name).toBe(next.name)
      expect(await ask(next, 'select it from seen')).toEqual([{ it: 42 }])
    })

    it('starts a killed PostgreSQL again in its place, as primary_start_timeout says', async () => {
      onTestFailed(() => console.error(cluster.logTails()))
      const primary = await cluster.waitForHealthy(45_000)
      const timeline = 'select left(pg_walfile_name(pg_current_wal_lsn()), 8) as timeline'
      const before = await ask(primary, timeline)
      cluster.killPostmaster(primary)
      await cluster.waitFor('PostgreSQL again', 30_000, async () => {
        const rows = await ask(primary, 'select pg_is_in_recovery() as r').catch(() => [])
        return rows[0]?.['r'] === false
      })
      expect((await cluster.waitForHealthy(45_000)).name).toBe(primary.name)
      expect(await ask(primary, timeline)).toEqual(before)
    })

    it('goes on while etcd is away for less than the ttl', async () => {
      onTestFailed(() => console.error(cluster.logTails()))
      const primary = await cluster.waitForHealthy(45_000)
      const epoch = await cluster.epoch()
      const everySeesQuorum = async (hasQuorum: boolean) => {
        const { views } = await cluster.observe()
        const seen = [...views.values()].filter(({ consensus }) => consensus.hasQuorum === hasQuorum)
        return seen.length === cluster.nodes.length
      }
      await Promise.all(etcd.names.map((name) => etcd.kill(name)))
      await cluster.waitFor('all nodes to miss etcd', 15_000, () => everySeesQuorum(false))
      await ask(primary, 'insert into seen values (43)')
      for (const name of etcd.names) etcd.start(name)
      await cluster.waitFor('all nodes to hear etcd again', 30_000, () => everySeesQuorum(true))
      expect((await cluster.waitForHealthy(45_000)).name).toBe(primary.name)
      expect(await cluster.epoch()).toBe(epoch)
    })

    it('takes over from a node that is gone once the ttl is over, and takes it back', async () => {
      onTestFailed(() => console.error(cluster.logTails()))
      const old = await cluster.waitForHealthy(45_000)
      const epoch = await cluster.epoch()
      cluster.setPower(old, false)
      const goneAt = performance.now()
      const next = await cluster.waitForPrimary({ deadlineMs: 2 * TTL_MS, after: epoch })
      expect(performance.now() - goneAt).toBeGreaterThan(TTL_MS / 2)
      expect(next.name).not.toBe(old.name)
      expect(await ask(next, 'select it from seen order by it')).toEqual([{ it: 42 }, { it: 43 }])
      cluster.setPower(old, true)
      await cluster.waitForHealthy(60_000)
    })

    it('begins nothing a second time in an etcd that was set up anew', async () => {
      onTestFailed(() => console.error(cluster.logTails()))
      await cluster.waitForHealthy(45_000)
      await etcd.refound(FIRST_TOKEN)
      await cluster.restartAllAgents()
      for (const node of cluster.nodes) {
        await cluster.waitFor(`${node.name} to say what happened`, 30_000, () =>
          cluster.saidAt(node, /set up anew or restored/),
        )
      }
      const { kvs } = await etcd.post('etcd1', '/v3/kv/range', { key: 'AA==', range_end: 'AA==' })
      expect(kvs).toBeUndefined()
    })
  })
})
