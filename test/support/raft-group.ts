import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '../../src/platform/log.ts'
import { createRaftStore, type RaftStore } from '../../src/store/raft/raft-store.ts'
import { foundRaftGroup } from '../../src/store/raft/storage.ts'
import { createMemoryNetwork, type MemoryNetwork } from './memory-transport.ts'

/** Members of one Raft group in this process, with real files and the real clock. */
export type RaftGroup = {
  readonly names: readonly string[]
  readonly network: MemoryNetwork
  readonly fatal: unknown[]
  store(name: string): RaftStore
  folder(name: string): string
  start(name: string): RaftStore
  stop(name: string): Promise<void>
  /** The member that everybody who is up takes for the leader. */
  leader(): Promise<string>
  close(): Promise<void>
}

export function createRaftGroup(names: readonly string[]): RaftGroup {
  const root = mkdtempSync(join(tmpdir(), 'metako-raft-'))
  const network = createMemoryNetwork()
  const stores = new Map<string, RaftStore>()
  const fatal: unknown[] = []
  const folder = (name: string): string => join(root, name)
  const start = (name: string): RaftStore => {
    const onFatal = (thrown: unknown): void => {
      fatal.push(thrown)
    }
    const deps = { transport: network.transportOf(name), log: silentLogger(), onFatal }
    const store = createRaftStore(deps, { self: name, folder: folder(name) })
    stores.set(name, store)
    return store
  }
  const voters = names.map((name) => ({ name, incarnation: '0' }))
  for (const name of names) foundRaftGroup(folder(name), { groupId: 'test', voters })
  for (const name of names) start(name)
  return {
    names,
    network,
    fatal,
    folder,
    start,
    store(name) {
      const store = stores.get(name)
      if (store === undefined) throw new Error(`No store "${name}"`)
      return store
    },
    async stop(name) {
      await stores.get(name)?.stop()
      stores.delete(name)
    },
    async leader() {
      return eventually('one leader', () => {
        const seen = new Set([...stores.values()].map((store) => store.status().leader))
        const [only] = seen
        return seen.size === 1 ? only : undefined
      })
    },
    async close() {
      const isLeader = (name: string): boolean => stores.get(name)?.status().leader === name
      // The leader last: it would look for a successor among those who are going.
      for (const name of [...stores.keys()].toSorted((left, right) => +isLeader(left) - +isLeader(right))) {
        network.setMember(name, false)
        await stores.get(name)?.stop()
      }
      rmSync(root, { recursive: true, force: true })
    },
  }
}

/** Waits until `look` finds something; fails with `what` after `deadlineMs`. */
export async function eventually<T>(what: string, look: () => T | undefined, deadlineMs = 5000): Promise<T> {
  const end = performance.now() + deadlineMs
  for (;;) {
    const found = look()
    if (found !== undefined) return found
    if (performance.now() > end) throw new Error(`Not seen within ${deadlineMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
