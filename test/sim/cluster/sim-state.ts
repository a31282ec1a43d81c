import type { JoinDocument } from '#client'
import type { Genesis } from '../../../src/agent/genesis.ts'
import type { NodeState } from '../../../src/agent/host-ports.ts'
import type { Pledge } from '../../../src/model/ack-rule.ts'
import type { MembershipNotes } from '../../../src/model/membership.ts'
import type { RandomStream } from '../random-stream.ts'
import { AgentDisk } from './agent-disk.ts'
import type { SimProcess } from './sim-host.ts'

type Promotion = { readonly epoch: number; readonly incarnation: string }

/** What a node keeps beside its data directory; outlives its agents. */
export class SimStateFolder {
  disk = new AgentDisk()
  nonce: string | undefined
  genesis: Genesis | undefined
  isFounded = false
  promotion: Promotion | undefined
  pledge: Pledge | undefined
  isGuardReleased = false
  parameters: Readonly<Record<string, string>> = {}
  membership: MembershipNotes | undefined

  /** An empty volume is in its place. */
  wipe(): void {
    this.disk.setFault(undefined)
    this.disk = new AgentDisk()
    this.nonce = undefined
    this.genesis = undefined
    this.isFounded = false
    this.promotion = undefined
    this.isGuardReleased = false
    this.membership = undefined
  }

  get hasLog(): boolean {
    return this.disk.hasLog
  }

  /** As `writeJoined` of the command line: the next agent begins an empty log as this incarnation. */
  join({ registry, groupId }: JoinDocument, incarnation: string): void {
    this.disk.moveLogAside()
    this.nonce = undefined
    this.genesis = undefined
    this.isFounded = false
    this.membership = { ...registry, removed: [], joined: { groupId, incarnation } }
  }

  /** As one life of the agent uses it: a write is there once its fsync is over, and not when the agent dies before. */
  open(process: SimProcess, chance: RandomStream, fsyncMs: number): NodeState {
    const write = (change: () => void): Promise<void> =>
      new Promise((resolve, reject) => {
        const end = (failure: Error | undefined): void => {
          if (failure) return reject(failure)
          change()
          resolve()
        }
        process.after(chance.exponential(fsyncMs), () =>
          this.disk.writeSmall((failure) => process.run(() => end(failure))),
        )
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
      parameters: () => this.parameters,
      writeParameters: (parameters) => write(() => (this.parameters = parameters)),
      isGuardReleased: () => this.isGuardReleased,
      writeGuardReleased: (isReleased) => write(() => (this.isGuardReleased = isReleased)),
      pledge: () => this.pledge,
      writePledge: (pledge) => write(() => (this.pledge = pledge)),
      readMembership: () => Promise.resolve(this.membership),
      writeMembership: (notes) => write(() => (this.membership = notes)),
    }
  }
}
