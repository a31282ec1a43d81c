import { expect, it } from 'vitest'
import { readLsn } from './lsn.ts'
import { Stage } from './stage.ts'

async function threeHosts(options: { useSlots?: boolean; seed?: number } = {}): Promise<Stage> {
  const stage = new Stage({ seed: options.seed ?? 1 })
  for (const name of ['n1', 'n2', 'n3']) stage.addHost(name, { useSlots: options.useSlots ?? false })
  await stage.cluster(['n1', 'n2', 'n3'])
  return stage
}

it('a standby that has every acknowledged token takes over without a loss, and the old primary comes back as a clone', async () => {
  const stage = await threeHosts({ useSlots: true })
  const session = await stage.connect('n1')
  for (let token = 0; token < 20; token += 1) {
    expect(await stage.insert(session, token)).toMatchObject({ kind: 'complete', warned: false })
  }
  await stage.caughtUp('n2', 'n1')
  await stage.finish(stage.instance('n1').kill())
  await stage.finish(stage.instance('n2').promote(2))
  await stage.finish(stage.instance('n2').ensureSlots(['n1', 'n3']))
  expect(await stage.tokens('n2')).toEqual(stage.acknowledgements.map(({ token }) => token))
  expect(await stage.finish(stage.instance('n2').facts())).toMatchObject({ role: 'primary', timeline: 2 })

  await stage.finish(stage.instance('n3').follow(stage.host('n2').address))
  await stage.until('n3 follows', () => stage.host('n3').server?.receiver?.timeline === 2)
  const { timeline, forks } = await stage.finish(stage.instance('n2').timelineOrigin())
  expect({ timeline, forks: forks.length }).toEqual({ timeline: 2, forks: 1 })
  const report = await stage.finish(
    stage.instance('n1').keepDiverged({ timeline: 1, forkLsn: forks[0]?.endLsn ?? '0/0', epoch: 2 }),
  )
  expect(report.transactions).toBe(0)
  await stage.join('n1', 'n2')
  const second = await stage.connect('n2')
  expect(await stage.insert(second, 100)).toMatchObject({ kind: 'complete' })
  await stage.caughtUp('n1', 'n2')
  await stage.caughtUp('n3', 'n2')
  expect(await stage.tokens('n1')).toEqual(await stage.tokens('n3'))
  expect(await stage.finish(stage.instance('n1').countSetAside())).toBe(1)
})

it('what a cut off primary acknowledged alone is named by its transaction ids when it comes back', async () => {
  const stage = await threeHosts()
  const session = await stage.connect('n1')
  await stage.insert(session, 1)
  await stage.caughtUp('n2', 'n1')
  stage.cutBoth('n1', 'n2')
  stage.cutBoth('n1', 'n3')
  const lost = [await stage.insert(session, 2), await stage.insert(session, 3)]
  await stage.finish(stage.instance('n2').promote(2))
  await stage.finish(stage.instance('n1').kill())
  const { forks } = await stage.finish(stage.instance('n2').timelineOrigin())
  const report = await stage.finish(
    stage.instance('n1').keepDiverged({ timeline: 1, forkLsn: forks[0]?.endLsn ?? '0/0', epoch: 2 }),
  )
  expect(report.xids).toEqual(lost.map((outcome) => outcome.kind === 'complete' && outcome.xid))
  expect(readLsn(report.endLsn) - readLsn(report.forkLsn)).toBe(report.bytes)
  expect(await stage.tokens('n2')).toEqual([1])
})

it('a synchronous commit is acknowledged only when enough of the named standbys have flushed it', async () => {
  const stage = await threeHosts()
  stage.host('n1').configure({ synchronousNames: 'ANY 1 (n2, n3)' })
  stage.host('n1').reload()
  await stage.pass(50)
  stage.cutBoth('n1', 'n2')
  const session = await stage.connect('n1')
  expect(await stage.insert(session, 1)).toMatchObject({ kind: 'complete' })
  stage.cutBoth('n1', 'n3')
  let outcome = 'none'
  session.insert(2, ({ kind }) => {
    outcome = kind
  })
  await stage.pass(20_000)
  expect(outcome).toBe('none')
  stage.heal()
  await stage.until('it is acknowledged', () => outcome === 'complete')
  for (const name of ['n2', 'n3']) await stage.caughtUp(name, 'n1')
  expect(await stage.tokens('n2')).toEqual([1, 2])
})

it('an emptied list of names wakes every commit that waits, as if a standby had it', async () => {
  const stage = await threeHosts()
  stage.host('n1').configure({ synchronousNames: 'nobody' })
  stage.host('n1').reload()
  await stage.pass(50)
  const session = await stage.connect('n1')
  let isComplete = false
  session.insert(1, () => {
    isComplete = true
  })
  await stage.pass(1000)
  expect(isComplete).toBe(false)
  stage.host('n1').configure({ synchronousNames: '' })
  stage.host('n1').reload()
  await stage.until('it is acknowledged', () => isComplete, 100)
})

it('a power loss takes what no fsync had reached, and nothing that one had', async () => {
  const stage = await threeHosts()
  const session = await stage.connect('n1', 'off')
  await stage.insert(session, 1)
  await stage.powerCycle('n1')
  await stage.finish(stage.instance('n1').start('primary'))
  expect(await stage.tokens('n1')).toEqual([])
  const again = await stage.connect('n1')
  await stage.insert(again, 2)
  await stage.powerCycle('n1')
  await stage.finish(stage.instance('n1').start('primary'))
  expect(await stage.tokens('n1')).toEqual([2])
})

it('a primary that is killed right after its promotion, and again right after its start, stays on its timeline', async () => {
  const stage = await threeHosts()
  const { instance, host } = { instance: stage.instance('n2'), host: stage.host('n2') }
  await stage.finish(stage.instance('n1').kill())
  await stage.finish(instance.promote(2))
  for (let round = 0; round < 3; round += 1) {
    host.killAll()
    await stage.finish(instance.start('primary'))
    expect(await stage.finish(instance.facts())).toMatchObject({ role: 'primary', timeline: 2 })
  }
})

it('a clone does not say that nothing is lost behind a fork that lies before all its WAL', async () => {
  const stage = await threeHosts()
  const session = await stage.connect('n1')
  await stage.insert(session, 1)
  const { endLsn: fork } = await stage.finish(stage.instance('n3').endOfWal())
  await stage.insert(session, 2)
  stage.host('n1').server?.writer?.switchSegment()
  await stage.pass(100)
  await stage.finish(stage.instance('n2').kill())
  await stage.join('n2', 'n1')
  await stage.caughtUp('n2', 'n1')
  await stage.finish(stage.instance('n2').kill())
  const report = await stage.finish(
    stage.instance('n2').keepDiverged({ timeline: 1, forkLsn: fork, epoch: 2 }),
  )
  expect(report).toMatchObject({ isUnreadable: true, transactions: 0, xids: [] })
  expect(report.bytes).toBe(readLsn(report.endLsn) - readLsn(fork))
})

it('a clone has no WAL from before it, and says so', async () => {
  const stage = await threeHosts()
  const oldest = async (name: string) =>
    readLsn((await stage.finish(stage.instance(name).facts())).oldestWal ?? '')
  const first = await oldest('n1')
  stage.host('n1').server?.writer?.switchSegment()
  await stage.pass(100)
  await stage.finish(stage.instance('n3').kill())
  await stage.join('n3', 'n1')
  await stage.caughtUp('n3', 'n1')
  expect(await oldest('n1')).toBe(first)
  expect(await oldest('n3')).toBeGreaterThan(first)
})

it('the same seed gives the same run', async () => {
  const runs = []
  for (let run = 0; run < 2; run += 1) {
    const stage = await threeHosts({ seed: 7 })
    const session = await stage.connect('n1')
    for (let token = 0; token < 5; token += 1) await stage.insert(session, token)
    await stage.finish(stage.instance('n1').kill())
    await stage.finish(stage.instance('n3').promote(2))
    runs.push({ at: stage.time.now, acknowledgements: stage.acknowledgements })
  }
  expect(runs[0]).toEqual(runs[1])
})

it('a standby comes back from a restart and from a long cut without being cloned', async () => {
  const stage = await threeHosts()
  const session = await stage.connect('n1')
  await stage.insert(session, 1)
  stage.cutBoth('n1', 'n2')
  await stage.pass(60_000)
  await stage.insert(session, 2)
  await stage.finish(stage.instance('n3').kill())
  await stage.insert(session, 3)
  stage.heal()
  await stage.finish(stage.instance('n3').start('standby', stage.host('n1').address))
  for (const name of ['n2', 'n3']) await stage.caughtUp(name, 'n1')
  expect(await stage.tokens('n2')).toEqual([1, 2, 3])
  expect(await stage.tokens('n3')).toEqual([1, 2, 3])
})

it('a fast shutdown leaves every byte on a standby that streams, and the next start needs no recovery', async () => {
  const stage = await threeHosts()
  const session = await stage.connect('n1')
  for (let token = 0; token < 5; token += 1) await stage.insert(session, token)
  expect(await stage.finish(stage.instance('n1').stop(5000))).toBe('clean')
  const end = await stage.finish(stage.instance('n1').endOfWal())
  await stage.pass(100)
  const facts = await stage.finish(stage.instance('n2').facts())
  expect(facts.flushLsn).toBe(end.endLsn)
  await stage.finish(stage.instance('n1').start('standby', stage.host('n2').address))
  expect(await stage.finish(stage.instance('n1').facts())).toMatchObject({ role: 'standby', timeline: 1 })
})

it('a clone that is interrupted leaves nothing that starts', async () => {
  const stage = await threeHosts()
  const { instance } = stage.addHost('n4')
  const { address, disk } = stage.host('n1')
  const cloning = instance.clone({ ...address, systemId: disk.directory?.systemId ?? '' }, () =>
    stage.host('n1').killAll(),
  )
  await expect(stage.finish(cloning)).rejects.toMatchObject({ code: 'REPLICATION_LOST' })
  expect(await stage.finish(instance.inspect())).toEqual({ directory: 'absent' })
  await expect(stage.finish(instance.start('standby'))).rejects.toMatchObject({ code: 'PG_START_REFUSED' })
})

it('an orphaned backend acknowledges on while its client sends on, and the agent ends it', async () => {
  const stage = await threeHosts()
  const { host } = { host: stage.host('n1') }
  const session = await stage.connect('n1')
  let token = 0
  const sendOn = (): void => {
    token += 1
    if (token < 5000) session.insert(token, sendOn)
  }
  for (let ahead = 0; ahead < 10; ahead += 1) sendOn()
  await stage.pass(20)
  const crashes: number[] = []
  stage.instance('n1').onCrash(() => crashes.push(stage.time.now))
  const killedAt = stage.time.now
  host.killPostmaster()
  await stage.until('no process is left', () => host.server === undefined)
  const late = stage.acknowledgements.filter(({ orphaned }) => orphaned)
  expect(late.length).toBeGreaterThan(0)
  expect(late.every(({ at }) => at >= killedAt && at <= killedAt + 20)).toBe(true)
  await stage.pass(10)
  expect(crashes).toHaveLength(2)
})
