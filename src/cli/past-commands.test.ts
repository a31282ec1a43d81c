import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { runWords, serveApi, type Outcome } from '../../test/support/command-line.ts'
import { FakeOperations } from '../../test/support/fake-operations.ts'
import { FakeWorld } from '../../test/support/fake-world.ts'
import { sampleView } from '../../test/support/sample-view.ts'
import type { ApiServer } from '../api/server.ts'
import { followEvents } from './events-command.ts'

let operations: readonly FakeOperations[]
let servers: ApiServer[] = []
let urls: string[] = []

beforeEach(async () => {
  operations = ['n1', 'n2'].map((self) => new FakeOperations(sampleView({ self })))
  for (const one of operations) {
    const { server, url } = await serveApi(one, 'token')
    servers.push(server)
    urls.push(url)
  }
})

afterEach(async () => {
  await Promise.all(servers.map((server) => server.stop()))
  servers = []
  urls = []
})

const cli = (words: string): Promise<Outcome> =>
  runWords([...words.split(' ').filter(Boolean), '--url', urls[0] ?? ''], {})

describe('explain', () => {
  it('tells the newest change of primary step by step, where the time went, and who was not chosen', async () => {
    const { code, out } = await cli('explain')
    expect(code).toBe(0)
    expect(out)
      .toBe(`epoch 2, 2026-05-04T01:02:03.000Z: n1 took over from n2, since its PostgreSQL had died, by revocation: enough members pledged
     0 ms  noticed: n2 says that its PostgreSQL is crashed
    12 ms  the epoch was begun, nobody’s yet: PRIMARY_CRASHED
   160 ms  committed, and clients were led there
  took 160 ms; the longest wait, 148 ms, was for "open"
  not n3: is as good, and ranks behind
`)
  })

  it('tells of an older epoch what is left of it, and what it lost', async () => {
    const losses = [
      {
        epoch: 1,
        member: 'n3',
        timeline: 1,
        forkLsn: '0/3000148',
        endLsn: '0/3000400',
        bytes: 696,
        transactions: 3,
        xids: [7, 8, 9],
        keptIn: '/var/lib/x',
        foundAt: '',
      },
    ]
    operations[0]!.current = sampleView({ losses })
    const { out } = await cli('explain 1')
    expect(out)
      .toBe(`epoch 1, 2026-05-04T01:00:00.000Z: n3 became primary, since the cluster was created, as the first
  the flight recorder has no steps of it: only of the newest
  lost: 3 transactions (696 B) that only n3 had; their WAL is kept in /var/lib/x
`)
  })

  it('has forms for scripts, and knows which epochs there are', async () => {
    const { out } = await cli('explain 2 --format tsv')
    expect(out.split('\n').slice(0, 3)).toEqual([
      'at_ms\tsince_ms\tstep\tdetail',
      '0\t0\tnoticed\tn2 says that its PostgreSQL is crashed',
      '12\t12\tbegun\tPRIMARY_CRASHED',
    ])
    expect(JSON.parse((await cli('explain 2 --format json')).out)).toMatchObject({
      epoch: 2,
      failover: { to: 'n1' },
      link: { holder: 'n1' },
    })
    const unknown = await cli('explain 9')
    expect([unknown.code, unknown.err]).toEqual([
      1,
      'pg-metako: Cannot explain epoch 9: it is not known, known are 1, 2\nhint: See "pg-metako history"\n',
    ])
    expect((await cli('explain two')).code).toBe(2)
  })
})

describe('events', () => {
  it('tells what one agent saw, oldest first, and says so where that is nothing', async () => {
    const { out } = await cli('events')
    expect(out).toContain('| 2026-05-04T03:02:01.000Z | n2     | n2 is heard again |')
    operations[0]!.recentDocument = { ...operations[0]!.recentDocument, events: [] }
    expect((await cli('events')).out).toContain('Nothing changed in the last quarter of an hour')
    expect((await cli('events --format tsv')).out).toBe('at\tseverity\tmember\ttext\n')
  })

  /** Runs `--follow` with one of these between two looks each. */
  async function follow(
    format: 'pretty' | 'json',
    ...between: readonly (() => unknown)[]
  ): Promise<FakeWorld> {
    const world = new FakeWorld({})
    const left = [...between]
    const wait = async () => {
      const next = left.shift()
      await next?.()
      return next !== undefined
    }
    await followEvents({ list: urls.map((url) => ({ url })), source: 'test' }, { format, wait }, world)
    return world
  }
  const happens = (index: number, number: number, text: string, second: string) => () => {
    const { recentDocument } = operations[index]!
    const event = { number, at: `2026-05-04T03:02:${second}.000Z`, severity: 'warning' as const, text }
    operations[index]!.recentDocument = {
      ...recentDocument,
      next: number,
      events: [...recentDocument.events, event],
    }
  }

  it('--follow tells each change once, and nothing of before', async () => {
    const world = await follow('pretty', happens(0, 3, 'n3 is not heard any more', '05'), () => undefined)
    expect(world.stdout.text).toBe('2026-05-04T03:02:05.000Z  warning   n3 is not heard any more\n')
    const json = await follow('json', happens(0, 4, 'again', '06'))
    expect(JSON.parse(json.stdout.text)).toMatchObject({ number: 4, text: 'again' })
  })

  it('--follow goes on with another agent when the one that it asked is gone, and repeats nothing', async () => {
    const world = await follow(
      'pretty',
      happens(0, 3, 'told by both', '05'),
      async () => {
        happens(1, 70, 'told by both', '05')()
        happens(1, 71, 'n1 is not heard any more', '07')()
        await servers[0]!.stop()
      },
      happens(1, 72, 'n2 is primary', '08'),
    )
    expect(world.stdout.text.split('\n').map((line) => line.slice(36))).toEqual([
      'told by both',
      'n1 is not heard any more',
      'n2 is primary',
      '',
    ])
  })

  it('--follow goes on with a new life of the agent that it asked', async () => {
    const world = await follow('pretty', happens(0, 9, 'before', '05'), () => {
      operations[0]!.recentDocument = { ...operations[0]!.recentDocument, next: 0, events: [] }
      happens(0, 1, 'after', '09')()
    })
    expect(world.stdout.text).toMatch(/before\n.*after\n$/)
  })

  it('--follow says that nobody answers, and asks again', async () => {
    const world = await follow('pretty', () => Promise.all(servers.map((server) => server.stop())))
    expect(world.stderr.text).toMatch(/^pg-metako: Cannot reach .*; asks again\n$/)
  })
})
