import { codeOf } from '../../src/std/fault.ts'
import { VirtualGroup } from '../support/virtual-group.ts'
import { checkAppliedOnce, type Told } from './checkers/applied-once.ts'
import { checkLinearizable, type Operation } from './checkers/linearizable-register.ts'
import { Violation } from './checkers/violation.ts'
import { WatchWithoutGaps } from './checkers/watch-without-gaps.ts'
import { RandomStream } from './random-stream.ts'

export type StoreRun = {
  readonly acknowledged: number
  readonly unknown: number
  readonly refused: number
  readonly reads: number
  readonly revision: number
}

const names = ['n1', 'n2', 'n3']
const CHAOS_MS = 10_000

/**
 * The real store, requests and sessions included, with its real log on a disk that forgets, under loss, doubled messages,
 * kills, power losses and cut links. Clients try no transaction twice; that is the store's business.
 */
export async function simulateStore(seed: number): Promise<StoreRun> {
  const group = new VirtualGroup(names, seed)
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
  for (const name of names) watchAt(name)

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
      const name = work.pick(names)
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
      group.start(name)
      watchAt(name)
    })
  }
  const fault = (): void => {
    const name = faults.pick(names)
    switch (faults.pick(['kill', 'power', 'all', 'cut', 'cut', 'heal', 'transfer'])) {
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
  group.blocked.clear()
  group.network.loss = 0
  await group.pass(4000)
  isOver = true
  // The longest deadline of a transaction.
  await group.pass(6000)
  const fatal = [...group.members.values()].flatMap((member) => member.fatal)
  if (fatal.length > 0) throw fatal[0]
  const final = await group.until(group.store('n1').read('op/', { deadlineMs: 2000 }), 3000)
  checkAppliedOnce(told, final.entries)
  checkLinearizable(history)
  const trees = names.map((name) =>
    JSON.stringify(group.store(name).peekPrefix('op/').slice(0, final.entries.length)),
  )
  if (trees.some((tree) => tree.length < 3))
    throw new Violation('A member has nothing after all faults ended')
  const count = (kind: Told['kind']): number =>
    [...told.values()].filter((answer) => answer.kind === kind).length
  return {
    acknowledged: count('done'),
    unknown: count('unknown'),
    refused: count('not-applied'),
    reads: history.filter(({ kind, completedAt }) => kind === 'read' && completedAt !== undefined).length,
    revision: final.revision,
  }
}
