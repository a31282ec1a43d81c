import type { Genesis } from '../../../src/agent/genesis.ts'
import type { NodeState } from '../../../src/agent/host-ports.ts'
import type { MembershipNotes } from '../../../src/model/membership.ts'
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
  membership: MembershipNotes | undefined

  /** As one life of the agent uses it: a write is there once its fsync is over, and not when the agent dies before. */
  open(process: SimProcess, chance: RandomStream, fsyncMs: number): NodeState {
    const write = (change: () => void): Promise<void> =>
      new Promise((resolve) => {
        process.after(chance.exponential(fsyncMs), () => {
          change()
          resolve()
        })
      })
    return {
      raftFolder: '/raft',
      nonce: async () => {
        const made = this.nonce ?? `nonce-${chance.below(2 ** 30).toString(16)}`
        if (this.nonce === undefined) await write(() => (this.nonce = made))
        return made
      },
      readGenesis: () => Promise.resolve(this.genesis),
      writeGenesis: (genesis) => write(() => (this.genesis = genesis)),
      wasFounded: () => Promise.resolve(this.isFounded),
      noteFounded: () => (this.isFounded ? Promise.resolve() : write(() => (this.isFounded = true))),
      promotedIn: () => this.promotion,
      writePromotion: (promotion) => write(() => (this.promotion = promotion)),
      readMembership: () => Promise.resolve(this.membership),
      writeMembership: (notes) => write(() => (this.membership = notes)),
    }
  }
}
