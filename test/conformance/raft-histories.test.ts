import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { checkLinearizability, type HistoryOperation } from '../support/linearizability.ts'
import { canMakeHosts } from '../support/namespace-machines.ts'
import { RegisterClients } from '../support/register-clients.ts'
import type { StoreHostClient } from '../support/store-host-client.ts'
import { buildStoreHost, startStoreHosts, type StoreHosts } from '../support/store-hosts.ts'

/** Answers that a client must get before and after a fault: a history in which nothing happens proves nothing. */
const SOME = 60
const CLIENTS = 5

let hosts: StoreHosts
let clients: RegisterClients
const connections: StoreHostClient[] = []

beforeAll(buildStoreHost, 120_000)

afterEach(async ({ task }) => {
  await clients?.stop()
  if (task.result?.state === 'fail') process.stderr.write(hosts.logs())
  for (const connection of connections.splice(0)) connection.close()
  await hosts?.dispose()
})

async function begin(options: { networks?: boolean; staleReads?: boolean; seed: number }): Promise<void> {
  hosts = await startStoreHosts({
    networks: options.networks ?? false,
    staleReads: options.staleReads ?? false,
  })
  await hosts.leader()
  const ports = Array.from({ length: CLIENTS }, (_, index) => {
    const name = hosts.names[index % hosts.names.length] ?? ''
    const connection = hosts.client(name)
    connections.push(connection)
    return [`${name}-${index}`, connection] as const
  })
  clients = new RegisterClients(new Map(ports), { seed: options.seed })
  clients.start()
  await clients.progress(SOME)
}

/** The clients of these hosts. */
const of = (...names: readonly string[]): readonly string[] =>
  Array.from({ length: CLIENTS }, (_, index) => `${hosts.names[index % hosts.names.length]}-${index}`).filter(
    (client) => names.some((name) => client.startsWith(name)),
  )
const allBut = (name: string): readonly string[] => hosts.names.filter((one) => one !== name)

async function expectLinearizable(): Promise<void> {
  const history = await clients.stop()
  const verdict = checkLinearizability(history)
  expect(verdict.kind === 'violated' ? verdict.explanation : 'linearizable').toBe('linearizable')
}

describe('three processes with the raft store', () => {
  it('are one register to every client while each of them is killed and comes back', async () => {
    await begin({ seed: 1 })
    for (let round = 0; round < 2; round += 1) {
      const leader = await hosts.leader()
      await hosts.kill(leader)
      await clients.progress(SOME, of(...allBut(leader)))
      hosts.start(leader)
      await clients.progress(SOME)
    }
    const [follower = ''] = allBut(await hosts.leader())
    await hosts.kill(follower)
    await clients.progress(SOME, of(...allBut(follower)))
    hosts.start(follower)
    await clients.progress(SOME)
    // All at once: what was acknowledged is on their disks.
    await Promise.all(hosts.names.map((name) => hosts.kill(name)))
    for (const name of hosts.names) hosts.start(name)
    await clients.progress(SOME)
    await expectLinearizable()
  })

  it('are one register to every client while leader and follower are paused and go on', async () => {
    await begin({ seed: 2 })
    for (let round = 0; round < 2; round += 1) {
      const leader = await hosts.leader()
      hosts.signal(leader, 'SIGSTOP')
      await clients.progress(SOME, of(...allBut(leader)))
      // It wakes up as a leader, and must not answer as one.
      hosts.signal(leader, 'SIGCONT')
      await clients.progress(SOME)
    }
    const [follower = ''] = allBut(await hosts.leader())
    hosts.signal(follower, 'SIGSTOP')
    await clients.progress(SOME, of(...allBut(follower)))
    hosts.signal(follower, 'SIGCONT')
    await clients.progress(SOME)
    await expectLinearizable()
  })

  it('are caught when their reads do not ask for the majority', async () => {
    await begin({ seed: 3, staleReads: true })
    // By chance in each round: a read at one member has to meet a write at another within milliseconds.
    await eventually(
      'a stale read',
      async () => {
        const leader = await hosts.leader()
        hosts.signal(leader, 'SIGSTOP')
        await clients.progress(SOME, of(...allBut(leader)))
        hosts.signal(leader, 'SIGCONT')
        await clients.progress(SOME)
        return expectStaleRead(clients.soFar())
      },
      45_000,
    )
  })
})

function expectStaleRead(history: readonly HistoryOperation[]): boolean {
  const verdict = checkLinearizability(history)
  if (verdict.kind === 'linearizable') return false
  expect(verdict.stuck.call.kind).toBe('read')
  expect(verdict.explanation).toContain('did not behave like one register')
  return true
}

describe.runIf(canMakeHosts())('three processes with the raft store, each in a network of its own', () => {
  const cut = (pairs: readonly (readonly [string, string])[]) => {
    for (const [from, to] of pairs) hosts.setLink(from, to, false)
    return () => {
      for (const [from, to] of pairs) hosts.setLink(from, to, true)
    }
  }

  it.each([
    ['the leader is cut off from both others', { seed: 4, hears: false }],
    ['nothing that the leader sends arrives, though it hears the others', { seed: 5, hears: true }],
  ])('are one register while %s', async (_what, { seed, hears }) => {
    await begin({ networks: true, seed })
    const leader = await hosts.leader()
    const [one = '', two = ''] = allBut(leader)
    const heal = cut([
      [leader, one],
      [leader, two],
      ...(hears
        ? []
        : ([
            [one, leader],
            [two, leader],
          ] as const)),
    ])
    await clients.progress(SOME, of(one, two))
    expect(await hosts.leader()).not.toBe(leader)
    heal()
    await clients.progress(SOME)
    await expectLinearizable()
  })

  it('are one register while leader and one follower do not reach each other', async () => {
    await begin({ networks: true, seed: 6 })
    const leader = await hosts.leader()
    const [one = '', two = ''] = allBut(leader)
    const heal = cut([
      [leader, one],
      [one, leader],
    ])
    // Everybody still reaches a majority through the third.
    await clients.progress(SOME, of(two))
    heal()
    await clients.progress(SOME)
    await expectLinearizable()
  })

  it('are caught when a member that is cut off answers reads from what it has', async () => {
    await begin({ networks: true, staleReads: true, seed: 7 })
    const leader = await hosts.leader()
    const [one = '', two = ''] = allBut(leader)
    const heal = cut([
      [leader, one],
      [leader, two],
    ])
    await clients.progress(SOME, of(one, two))
    // Its clients still get answers, and they are old. Reads alone: between them each write takes its deadline, so more would be luck.
    await clients.progress(2, of(leader))
    heal()
    expect(expectStaleRead(await clients.stop())).toBe(true)
  })
})
