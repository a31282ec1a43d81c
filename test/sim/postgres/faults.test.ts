import { expect, it } from 'vitest'
import { Stage } from './stage.ts'
import { parseSynchronousNames, priorityOf } from './synchronous-names.ts'

async function twoHosts(): Promise<Stage> {
  const stage = new Stage()
  for (const name of ['n1', 'n2', 'n3']) stage.addHost(name, { segmentBytes: 64 * 1024 })
  await stage.cluster(['n1', 'n2'])
  return stage
}

it('a full disk fails statements and leaves what was acknowledged', async () => {
  const stage = await twoHosts()
  const session = await stage.connect('n1')
  stage.host('n1').setDiskFault({ kind: 'full' })
  const outcomes = []
  for (let token = 0; token < 50; token += 1) outcomes.push(await stage.insert(session, token))
  expect(outcomes.some((outcome) => outcome.kind === 'error' && outcome.sqlState === '53100')).toBe(true)
  const acknowledged = stage.acknowledgements.map(({ token }) => token)
  expect(acknowledged).toHaveLength(outcomes.filter(({ kind }) => kind === 'complete').length)
  stage.host('n1').setDiskFault(undefined)
  await stage.insert(session, 100)
  expect(await stage.tokens('n1')).toEqual([...acknowledged, 100])
})

it('a full disk without room for the next WAL segment is a panic, and the agent hears of it', async () => {
  const stage = await twoHosts()
  let crashes = 0
  stage.instance('n1').onCrash(() => {
    crashes += 1
  })
  const session = await stage.connect('n1')
  const { host } = { host: stage.host('n1') }
  while (host.server?.writer?.needsNewSegment === false) {
    session.insert(1, () => undefined, { level: 'off' })
    await stage.pass(1)
  }
  host.setDiskFault({ kind: 'full' })
  expect(await stage.insert(session, 1_000_000)).toEqual({ kind: 'lost' })
  await stage.until('the agent hears of it', () => crashes > 0)
  expect(host.server).toBeUndefined()
})

it('an fsync that fails is a panic, and nothing that waited for it is acknowledged', async () => {
  const stage = await twoHosts()
  const session = await stage.connect('n1')
  stage.host('n1').setDiskFault({ kind: 'io-error' })
  expect(await stage.insert(session, 1)).toEqual({ kind: 'lost' })
  expect(stage.acknowledgements).toEqual([])
})

it('a disk that stands still acknowledges nothing, and goes on when it moves again', async () => {
  const stage = await twoHosts()
  const session = await stage.connect('n1')
  stage.host('n1').setDiskFault({ kind: 'stalled' })
  let isComplete = false
  session.insert(1, () => {
    isComplete = true
  })
  await stage.pass(10_000)
  expect(isComplete).toBe(false)
  await expect(stage.finish(stage.instance('n1').probeWrite('flushed'))).rejects.toMatchObject({
    code: 'PG_PROBE_FAILED',
  })
  stage.host('n1').setDiskFault(undefined)
  await stage.until('it is acknowledged', () => isComplete, 100)
})

it('a paused host does nothing, and its standby gives it up after the timeout', async () => {
  const stage = await twoHosts()
  const session = await stage.connect('n1')
  stage.host('n1').pause()
  let isComplete = false
  session.insert(1, () => {
    isComplete = true
  })
  await stage.pass(6000)
  expect(isComplete).toBe(false)
  expect(stage.host('n2').server?.receiver?.state).not.toBe('streaming')
  stage.host('n1').resume()
  await stage.until('it is acknowledged', () => isComplete)
  await stage.caughtUp('n2', 'n1')
})

it('a server that is frozen is unknown to its agent, which can kill it all the same', async () => {
  const stage = await twoHosts()
  stage.host('n1').freeze(true)
  expect(await stage.finish(stage.instance('n1').facts())).toMatchObject({ state: 'unknown' })
  expect(await stage.finish(stage.instance('n1').stop(500))).toBe('unclean')
  expect(await stage.finish(stage.instance('n1').facts())).toMatchObject({ state: 'crashed' })
})

it('a host that lost its power is silent to its peers, and says so only when it is back', async () => {
  const stage = await twoHosts()
  stage.host('n1').losePower()
  await stage.pass(2000)
  expect(stage.host('n2').server?.receiver?.state).toBe('streaming')
  await stage.until(
    'the standby gives up',
    () => stage.host('n2').server?.receiver?.state !== 'streaming',
    4000,
  )
})

it('a wiped disk has nothing on it, and a clone brings everything back under another incarnation', async () => {
  const stage = await twoHosts()
  const session = await stage.connect('n1')
  await stage.insert(session, 1)
  const before = await stage.finish(stage.instance('n2').inspect())
  await stage.finish(stage.instance('n2').kill())
  stage.host('n2').wipeDisk()
  expect(await stage.finish(stage.instance('n2').inspect())).toEqual({ directory: 'absent' })
  await stage.join('n2', 'n1')
  const after = await stage.finish(stage.instance('n2').inspect())
  expect(after.systemId).toBe(before.systemId)
  expect(after.incarnation).not.toBe(before.incarnation)
  await stage.caughtUp('n2', 'n1')
  expect(await stage.tokens('n2')).toEqual([1])
})

it('a clone from another cluster is refused', async () => {
  const stage = await twoHosts()
  const from = { ...stage.host('n1').address, systemId: '42' }
  const cloning = stage.instance('n3').clone(from, () => undefined)
  await expect(stage.finish(cloning)).rejects.toMatchObject({ code: 'CLONE_SOURCE_FOREIGN' })
})

it('two histories under one timeline id are joined without a word where their records are of equal size', async () => {
  const stage = new Stage()
  for (const name of ['n1', 'n2', 'n3']) stage.addHost(name)
  await stage.cluster(['n1', 'n2', 'n3'])
  for (const name of ['n2', 'n3']) await stage.caughtUp(name, 'n1')
  await stage.finish(stage.instance('n1').kill())
  await stage.finish(stage.instance('n2').promote(2))
  await stage.finish(stage.instance('n3').promote(2))
  await stage.pass(500)
  const [one, other] = [await stage.connect('n2'), await stage.connect('n3')]
  for (const token of [20, 21, 22]) await stage.insert(one, token)
  await stage.insert(other, 30)
  await stage.finish(stage.instance('n3').kill())
  await stage.finish(stage.instance('n3').start('standby', stage.host('n2').address))
  await stage.until('it has the end', () => stage.host('n3').server?.visible.includes(22) === true)
  expect(await stage.tokens('n3')).toEqual([30, 21, 22])
})

it('the names of synchronous standbys are read as PostgreSQL reads them', () => {
  expect(parseSynchronousNames(' ')).toBeUndefined()
  expect(parseSynchronousNames('a, "B c"')).toEqual({ method: 'first', count: 1, names: ['a', 'b c'] })
  expect(parseSynchronousNames('2 (a, b, c)')).toMatchObject({ method: 'first', count: 2 })
  expect(parseSynchronousNames('any 1 (*)')).toEqual({ method: 'any', count: 1, names: ['*'] })
  expect(priorityOf(parseSynchronousNames('FIRST 1 (a, b)'), 'B')).toBe(2)
  expect(priorityOf(parseSynchronousNames('ANY 1 (a, b)'), 'B')).toBe(1)
  expect(priorityOf(parseSynchronousNames('a'), 'c')).toBe(0)
  expect(() => parseSynchronousNames('ANY 1 ()')).toThrow('not valid')
})

it('facts say what the model is, in the words of the real adapter', async () => {
  const stage = await twoHosts()
  const [primary, standby] = [
    await stage.finish(stage.instance('n1').facts()),
    await stage.finish(stage.instance('n2').facts()),
  ]
  expect(primary).toMatchObject({
    state: 'running',
    role: 'primary',
    timeline: 1,
    walSenders: [{ name: 'n2', state: 'streaming', flushLsn: primary.flushLsn }],
  })
  expect(standby).toMatchObject({
    state: 'running',
    role: 'standby',
    streaming: true,
    upstreamHost: 'n1',
    upstreamPort: stage.host('n1').address.port,
    flushLsn: primary.flushLsn,
    walReplayPaused: false,
  })
  await stage.finish(stage.instance('n2').kill())
  expect(await stage.finish(stage.instance('n2').facts())).toMatchObject({ state: 'crashed', timeline: 1 })
  await stage.pass(100)
  const resting = await stage.finish(stage.instance('n2').facts())
  expect(resting).toMatchObject({ state: 'crashed', flushLsn: primary.flushLsn })
})

it('after a restart a standby that streams says a position below what it has replayed, until something is written', async () => {
  const stage = await twoHosts()
  const session = await stage.connect('n1')
  await stage.insert(session, 1)
  await stage.caughtUp('n2', 'n1')
  await stage.pass(60_000)
  await stage.finish(stage.instance('n2').kill())
  await stage.finish(stage.instance('n2').start('standby', stage.host('n1').address))
  await stage.streaming('n2')
  await stage.pass(5000)
  const { server } = stage.host('n2')
  expect(server?.receivedUpto?.lsn).toBeLessThan(server?.replayLsn ?? 0)
  await stage.insert(session, 2)
  await stage.caughtUp('n2', 'n1')
  expect(server?.receivedUpto?.lsn).toBe(server?.replayLsn)
})

it('a pg_rewind that is cut off leaves a directory that does not start, and a clone mends it', async () => {
  const stage = await twoHosts()
  const session = await stage.connect('n1')
  stage.cutBoth('n1', 'n2')
  await stage.insert(session, 1)
  await stage.finish(stage.instance('n2').promote(2))
  await stage.pass(500)
  await stage.finish(stage.instance('n1').stop(500))
  stage.heal()
  expect(stage.host('n1').rewindFrom(stage.host('n2'), { isCutOff: true })).toBe('destroyed')
  await expect(stage.finish(stage.instance('n1').start('standby'))).rejects.toMatchObject({
    code: 'PG_START_FAILED',
  })
  await stage.join('n1', 'n2')
})

it('an insert with two standbys costs thirteen events', async () => {
  const stage = new Stage()
  for (const name of ['n1', 'n2', 'n3']) stage.addHost(name)
  await stage.cluster(['n1', 'n2', 'n3'])
  const session = await stage.connect('n1')
  await stage.pass(30_000)
  let events = 0
  for (let token = 0; token < 10; token += 1) {
    session.insert(token, () => undefined)
    const end = stage.time.now + 100
    while (stage.time.step(end)) events += 1
  }
  expect(events / 10).toBe(13)
})

it('an idle primary with a standby costs no events', async () => {
  const stage = await twoHosts()
  await stage.pass(700_000)
  const end = stage.time.now + 3_600_000
  let events = 0
  while (stage.time.step(end)) events += 1
  expect(events).toBe(0)
})

it('a walreceiver whose host loses its power while it is being started opens no connection afterwards', async () => {
  const stage = await twoHosts()
  await stage.finish(stage.instance('n2').kill())
  void stage.instance('n2').start('standby', { host: 'n1', port: 5432 })
  await stage.until('it is asked for', () => stage.host('n2').server?.receiver !== undefined, 5000)
  const receiver = stage.host('n2').server?.receiver
  stage.host('n2').losePower()
  await stage.pass(500)
  expect(receiver).toMatchObject({ state: 'gone', isShown: false })
})
