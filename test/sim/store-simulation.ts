import { OLDEST_VERSION, PROTOCOL_VERSION } from '../../src/raft/protocol.ts'
import { codeOf } from '../../src/std/fault.ts'
import { KiB } from '../../src/std/units.ts'
import { VirtualGroup } from '../support/virtual-group.ts'
import { checkAppliedOnce, type Told } from './checkers/applied-once.ts'
import { checkLinearizable, type Operation } from './checkers/linearizable-register.ts'
import { Violation } from './checkers/violation.ts'
import { WatchWithoutGaps } from './checkers/watch-without-gaps.ts'
import { RandomStream } from './random-stream.ts'
import { StoreOperator } from './store-operator.ts'

export type StoreRun = {
  readonly acknowledged: number
  readonly unknown: number
  readonly refused: number
  readonly reads: number
  readonly revision: number
  readonly changes: number
  readonly wipes: number
}

const firstNames = ['n1', 'n2', 'n3']
const CHAOS_MS = 10_000

/**
 * The real store, requests and sessions included, with its real log on a disk that forgets, under loss, doubled messages,
 * kills, power losses and cut links. Clients try no transaction twice; that is the store's business.
 */
export async function simulateStore(seed: number): Promise<StoreRun> {
  const sizes = new RandomStream(seed, 'sizes').pick([
    { segmentBytes: 2 * KiB, chunkLength: 5000, compactEntries: 40, keepEntries: 5 },
    { segmentBytes: 100 * KiB, chunkLength: 20_000, compactEntries: 150, keepEntries: 50 },
  ])
  const group = new VirtualGroup(firstNames, seed, { sizes })
  const faults = new RandomStream(seed, 'faults')
  const work = new RandomStream(seed, 'work')
  const told = new Map<string, Told>()
  const history: Operation[] = []
  const watch = new WatchWithoutGaps()
  let isCalm = false
  let isOver = false
  let operations = 0

  Object.assign(group.network, {
    loss: faults.pick([0, 0.05, 0.3]),
    duplicates: faults.pick([0, 0.3]),
    delayMs: faults.pick([0.2, 5, 40]),
  })

  const watchAt = (name: string): void => {
    const watcher = `${name} in life ${group.member(name).life}`
    const after = group.store(name).status().appliedRevision
    group.store(name).watch('', after, (events, revision, compacted) => {
      watch.see(watcher, events, revision, compacted !== undefined)
    })
  }
  for (const name of firstNames) watchAt(name)
  const allNames = (): readonly string[] => [...group.members.keys()]
  const members = new RandomStream(seed, 'members')
  const operator = new StoreOperator(group, members, {
    voters: firstNames,
    join: (name, incarnation) => {
      group.join(name, incarnation)
      watchAt(name)
    },
  })
  if (members.chance(0.6)) operator.start(members.pick([300, 1500]))
  const isUpgrade = members.chance(0.2)
  if (isUpgrade) for (const name of firstNames) group.member(name).release = OLDEST_VERSION

  const transact = async (name: string, client: string, id: string): Promise<void> => {
    const store = group.store(name)
    const operation: Operation = { kind: 'write', client, invokedAt: group.time.now }
    const at = history.push(operation) - 1
    const transaction = {
      compares: [],
      operations: [{ kind: 'put', key: `op/${id}`, value: 'x'.repeat(work.below(200)) }],
    } as const
    try {
      const { revision } = await store.transact(transaction, { deadlineMs: work.pick([100, 1000, 5000]) })
      told.set(`op/${id}`, { kind: 'done', revision })
      history[at] = { ...operation, completedAt: group.time.now, version: revision }
    } catch (thrown) {
      const { details } = thrown as { details?: { applied?: boolean } }
      told.set(`op/${id}`, { kind: details?.applied === false ? 'not-applied' : 'unknown' })
    }
  }

  const read = async (name: string, client: string): Promise<void> => {
    const operation: Operation = { kind: 'read', client, invokedAt: group.time.now }
    const at = history.push(operation) - 1
    try {
      const { revision } = await group.store(name).read('op/', { deadlineMs: 1000 })
      history[at] = { ...operation, completedAt: group.time.now, version: revision }
    } catch (thrown) {
      const code = codeOf(thrown)
      if (code === undefined || !code.startsWith('STORE_')) throw thrown
    }
  }

  const workLater = (client: string): void => {
    group.time.after(work.exponential(25), () => {
      if (isOver) return
      const name = work.pick(allNames())
      operations += 1
      if (group.member(name).store !== undefined) {
        // What a killed process was asked is never answered; its clients would see a closed connection.
        void (work.chance(0.6) ? transact(name, client, `${client}${operations}`) : read(name, client))
      }
      workLater(client)
    })
  }
  for (const client of ['x', 'y']) workLater(client)

  const restartLater = (name: string, ms: number): void => {
    group.time.after(ms, () => {
      if (group.member(name).store !== undefined) return
      if (faults.chance(0.5)) group.member(name).release = PROTOCOL_VERSION
      group.start(name)
      watchAt(name)
    })
  }
  const fault = (): void => {
    const names = allNames()
    const name = faults.pick(names)
    switch (faults.pick(['kill', 'power', 'all', 'cut', 'cut', 'chain', 'heal', 'transfer'])) {
      case 'kill':
        group.kill(name)
        restartLater(name, faults.exponential(400))
        break
      case 'power':
        group.kill(name, { power: true })
        restartLater(name, faults.exponential(400))
        break
      case 'all':
        for (const each of names) {
          group.kill(each, { power: faults.chance(0.5) })
          restartLater(each, faults.exponential(200))
        }
        break
      case 'cut':
        for (const other of names) {
          if (faults.chance(0.8)) group.blocked.add(`${name}>${other}`)
          if (faults.chance(0.8)) group.blocked.add(`${other}>${name}`)
        }
        break
      case 'chain': {
        // Two that do not reach each other, and both reach the others.
        const other = faults.pick(names)
        group.blocked.add(`${name}>${other}`).add(`${other}>${name}`)
        break
      }
      case 'heal':
        group.blocked.clear()
        break
      case 'transfer':
        void group.member(name).store?.transferLeadership(faults.pick(names))
    }
  }
  const faultLater = (): void => {
    group.time.after(faults.exponential(600), () => {
      if (isCalm) return
      fault()
      faultLater()
    })
  }
  faultLater()

  await group.pass(CHAOS_MS)
  isCalm = true
  operator.end()
  group.blocked.clear()
  group.network.loss = 0
  for (const name of allNames()) {
    if (group.member(name).release === PROTOCOL_VERSION) continue
    group.kill(name)
    group.member(name).release = PROTOCOL_VERSION
    restartLater(name, 1)
  }
  await group.pass(4000)
  isOver = true
  // The longest deadline of a transaction.
  await group.pass(6000)
  const fatal = [...group.members.values()].flatMap((member) => member.fatal)
  if (fatal.length > 0) throw fatal[0]
  const leader = allNames().find((name) => group.store(name).status().leader === name)
  if (leader === undefined)
    throw new Violation('Nobody leads after all faults ended', 'converges-when-healed')
  const final = await group.until(group.store(leader).read('op/', { deadlineMs: 2000 }), 3000)
  operator.check(leader)
  checkAppliedOnce(told, final.entries)
  checkLinearizable(history)
  const { voters, learners } = group.store(leader).membership()
  for (const { name, incarnation } of [...voters, ...learners]) {
    if (!group.isUpAs(name, incarnation)) continue
    const count = group.store(name).peekPrefix('op/').length
    if (count < final.entries.length) {
      throw new Violation(`${name} has ${count} of ${final.entries.length} keys`, 'converges-when-healed')
    }
  }
  const count = (kind: Told['kind']): number =>
    [...told.values()].filter((answer) => answer.kind === kind).length
  return {
    acknowledged: count('done'),
    unknown: count('unknown'),
    refused: count('not-applied'),
    reads: history.filter(({ kind, completedAt }) => kind === 'read' && completedAt !== undefined).length,
    revision: final.revision,
    changes: operator.done,
    wipes: operator.wipes,
  }
}
