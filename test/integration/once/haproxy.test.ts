import { afterAll, beforeAll, describe, expect, it, onTestFailed } from 'vitest'
import { Cluster } from '../../support/cluster.ts'
import { expectHonestHistory } from '../../support/failover-story.ts'
import { findHaproxy, startHaproxy, type Haproxy } from '../../support/haproxy.ts'
import { loopbackMachines } from '../../support/loopback-machines.ts'
import {
  createNumberedTable,
  NumberedWriter,
  readNumbered,
  withClient,
} from '../../support/numbered-writer.ts'
import { describePostgres } from '../../support/postgres.ts'
import { checkHistory } from '../../support/write-history.ts'

/** Three checks of two seconds find a server down, two find it up again. */
const HAPROXY_MS = 20_000
const isAllRequired = process.env['PG_METAKO_TEST_REQUIRE'] === 'all'

describe.runIf(findHaproxy() !== undefined || isAllRequired)("the guide's HAProxy", () => {
  describePostgres('in front of a cluster', (postgres) => {
    let cluster: Cluster
    let haproxy: Haproxy | undefined
    let writer: NumberedWriter | undefined

    beforeAll(async () => {
      const { folder: binDir } = postgres().binaries
      cluster = new Cluster(await loopbackMachines({ count: 3, binDir, mode: 'quorum' }))
      cluster.supervise(true)
      cluster.startAll()
      await cluster.waitForHealthy(60_000)
      haproxy = await startHaproxy(cluster.nodes)
    })
    afterAll(async () => {
      await writer?.stop()
      await haproxy?.dispose()
      await cluster?.dispose()
    })

    const url = (port: number) => cluster.directUrl(cluster.nodes[0]!).replace(/:\d+\/app$/, `:${port}/app`)
    /** Where a new session through that port ends, and whether it may write there. */
    const sessionAt = async (port: number): Promise<string> =>
      withClient(url(port), async (client) => {
        const { rows } = await client.query<{ port: number; standby: boolean }>(
          'select inet_server_port() as port, pg_is_in_recovery() as standby',
        )
        const node = cluster.nodes.find(({ ports }) => ports.postgres === rows[0]?.port)
        return `${node?.name} ${rows[0]?.standby ? 'standby' : 'primary'}`
      })
    /** Of several sessions in a row, each place once; none while one of them fails. */
    const placesAt = async (port: number): Promise<string> => {
      const places = await Promise.all([1, 2, 3, 4].map(() => sessionAt(port).catch(() => 'nobody')))
      return [...new Set(places)].toSorted().join(', ')
    }
    const waitForPlaces = (port: number, wanted: string) =>
      cluster.waitFor(`sessions at ${wanted}`, HAPROXY_MS, async () => (await placesAt(port)) === wanted)

    it('leads writes to the primary and reads to its standbys, through a failover and back, without losing a row', async () => {
      onTestFailed(() => console.error(haproxy?.log(), cluster.logTails()))
      const { writePort, readPort } = haproxy!
      const [first] = cluster.nodes
      if ((await cluster.waitForHealthy(30_000)) !== first) await cluster.switchover(first!)
      expect(await cluster.waitForHealthy(30_000)).toBe(first)
      await waitForPlaces(writePort, 'node1 primary')
      await waitForPlaces(readPort, 'node2 standby, node3 standby')

      await createNumberedTable(url(writePort))
      const application = new NumberedWriter({ url: url(writePort), number: 0, everyMs: 15 })
      writer = application
      application.start()
      const writesGoOn = async () => {
        const since = performance.now()
        await cluster.waitFor('writes', HAPROXY_MS, () => application.acknowledgedSince(since) >= 20)
      }
      await writesGoOn()
      const epoch = await cluster.epoch()
      cluster.setPower(first!, false)
      const next = await cluster.waitForPrimary({ deadlineMs: 20_000, after: epoch })
      const other = cluster.nodes.find((node) => node !== first && node !== next)!
      await writesGoOn()
      await waitForPlaces(writePort, `${next.name} primary`)
      await waitForPlaces(readPort, `${other.name} standby`)

      cluster.setPower(first!, true)
      expect(await cluster.waitForHealthy(60_000)).toBe(next)
      await writesGoOn()
      // The guide lists no node1 among those who serve reads, and it is no primary: nothing may be led there.
      expect(await placesAt(writePort)).toBe(`${next.name} primary`)
      expect(await placesAt(readPort)).toBe(`${other.name} standby`)

      const writes = await application.stop()
      const rows = await readNumbered(url(writePort))
      const verdict = checkHistory({ writes, rows, losses: await cluster.losses() })
      expectHonestHistory(verdict)
      expect(verdict.missing).toEqual([])
      expect(verdict.acknowledged).toBeGreaterThan(60)
    })
  })
})
