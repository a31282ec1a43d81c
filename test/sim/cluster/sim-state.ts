import type { Genesis } from '../../../src/agent/genesis.ts'
import type { NodeState } from '../../../src/agent/host-ports.ts'
import { createMemoryDisk, type MemoryDisk } from '../../support/memory-disk.ts'
import type { RandomStream } from '../random-stream.ts'
import type { SimProcess } from './sim-host.ts'

type Promotion = { readonly epoch: number; readonly incarnation: string }

/** What a node keeps beside its data directory; outlives its agents. */
export class SimStateFolder {
  readonly raftDisk: MemoryDisk = createMemoryDisk()
  nonce: string | undefined
  genesis: Genesis | undefined
  isFounded = false
  promotion: Promotion | undefined

  /** As one life of the agent uses it: a write is there once its fsync is over, and not when the agent dies before. */
  open(process: SimProcess, chance: RandomStream, fsyncMs: number): NodeState {
    const write = (change: () => void): Promise<void> =>
      new Promise((resolve) => {
        process.after(chance.exponential(fsyncMs), () => {
          change()
          resolve()
        })
      })
    const folder = this
    return {
      raftFolder: '/raft',
      async nonce() {
        const made = folder.nonce ?? `nonce-${chance.below(2 ** 30).toString(16)}`
        if (folder.nonce === undefined) await write(() => (folder.nonce = made))
        return made
      },
      readGenesis: async () => folder.genesis,
      writeGenesis: (genesis) => write(() => (folder.genesis = genesis)),
      wasFounded: async () => folder.isFounded,
      noteFounded: () => (folder.isFounded ? Promise.resolve() : write(() => (folder.isFounded = true))),
      promotedIn: () => folder.promotion,
      writePromotion: (promotion) => write(() => (folder.promotion = promotion)),
    }
  }
}
