import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFailed } from 'vitest'
import { Cluster } from '../support/cluster.ts'
import { expectHonestHistory, FailoverStory } from '../support/failover-story.ts'
import {
  COMPILER_PACKAGES,
  faultsBeside,
  faultyPrograms,
  hasCompiler,
  setDiskTrouble,
  type FaultyPrograms,
} from '../support/faulty-host.ts'
import { loopbackMachines } from '../support/loopback-machines.ts'
import type { TestNode } from '../support/machines.ts'
import { describePostgres } from '../support/postgres.ts'

const TAKEOVER_MS = 20_000
/** Far longer than what would convict. */
const STALLED_MS = 5000
const REVOKED = { reason: 'WRITE_PATH_STALLED', takeover: 'revocation' }
const NO_COMPILER = hasCompiler() ? '' : ` (skipped: no compiler, apt-get install ${COMPILER_PACKAGES})`

describePostgres(
  'three agents in quorum mode under load, whose primary answers and cannot write',
  (postgres) => {
    let programs: FaultyPrograms | undefined
    let cluster: Cluster
    let story: FailoverStory

    beforeAll(async () => {
      const { folder } = postgres().binaries
      programs = hasCompiler() ? faultyPrograms(folder) : undefined
      cluster = new Cluster(
        await loopbackMachines({ count: 3, binDir: programs?.binDir ?? folder, mode: 'quorum' }),
      )
      cluster.supervise(true)
      cluster.startAll()
      await cluster.waitForHealthy(60_000)
    })

    afterEach(() => story?.end())
    afterAll(async () => {
      await cluster?.dispose()
      programs?.dispose()
    })

    const setDisk = (node: TestNode, isStalled: boolean) =>
      setDiskTrouble(faultsBeside(node.dataDir), isStalled ? { of: 'postgres', how: 'stall' } : undefined)

    /** One fault at the primary, and nothing lost by what follows. */
    const tell = async (fault: (node: TestNode) => void) => {
      onTestFailed(() => console.error(cluster.logTails()))
      story = new FailoverStory(cluster)
      await story.begin()
      await story.round(fault)
      const verdict = await story.verdict()
      expectHonestHistory(verdict)
      expect(verdict.missing).toEqual([])
      const { reason, takeover } = (await cluster.failovers()).at(-1) ?? {}
      return { reason, takeover }
    }

    it('go on with another one when all its processes stand still, which are ended first', async () => {
      let pid: number | undefined
      const how = await tell((node) => {
        pid = cluster.postmasterPid(node)
        cluster.freezeInstance(node, 'SIGSTOP')
      })
      expect(how).toEqual(REVOKED)
      expect(pid).toBeDefined()
      expect(cluster.nodes.map((node) => cluster.postmasterPid(node))).not.toContain(pid)
    })

    describe.skipIf(NO_COMPILER !== '')(`with disks that stall${NO_COMPILER}`, () => {
      it('go on with another one when its disk stalls', async () => {
        const epoch = await cluster.epoch()
        let healing: Promise<void> | undefined
        const how = await tell((node) => {
          setDisk(node, true)
          const heal = () => setDisk(node, false)
          healing = cluster.waitForPrimary({ deadlineMs: TAKEOVER_MS, after: epoch }).then(heal, heal)
        })
        expect(how).toEqual(REVOKED)
        await healing
      })

      it('keep their primary, whose commits wait, when the disks of both standbys stall', async () => {
        onTestFailed(() => console.error(cluster.logTails()))
        story = new FailoverStory(cluster)
        await story.begin()
        const primary = await cluster.waitForHealthy(30_000)
        const before = { epoch: await cluster.epoch(), pid: cluster.postmasterPid(primary) }
        const standbys = cluster.nodes.filter(({ name }) => name !== primary.name)
        for (const node of standbys) setDisk(node, true)
        const stalledAt = performance.now()
        await cluster.waitFor(
          'tries to be missed, if any would be',
          2 * STALLED_MS,
          () => performance.now() - stalledAt > STALLED_MS,
        )
        for (const node of standbys) setDisk(node, false)
        await story.writesGoOn()
        expect((await cluster.waitForHealthy(60_000)).name).toBe(primary.name)
        expect({ epoch: await cluster.epoch(), pid: cluster.postmasterPid(primary) }).toEqual(before)
        const verdict = await story.verdict()
        expectHonestHistory(verdict)
        expect(verdict.missing).toEqual([])
      })
    })
  },
)
