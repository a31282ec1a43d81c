import { Fault } from '../std/fault.ts'
import type { Policy } from '../ha/policy.ts'
import type { Clock } from '../ha/ports.ts'
import { RAFT_TIMINGS } from '../raft/timing.ts'
import type { MembershipNotes } from '../model/membership.ts'
import type { Logger } from '../platform/log.ts'
import { memberNamed } from '../raft/configuration.ts'
import { incarnationOf } from '../raft/member-id.ts'
import { foundRaftGroup, joinRaftGroup, openRaftStorage, type FoundStorage } from '../store/raft/storage.ts'
import { createRaftStore, type RaftStore } from '../store/raft/raft-store.ts'
import { howToReturn, judgeGenesis, listFingerprint, type GenesisHello } from './genesis.ts'
import type { Heartbeats } from './heartbeats.ts'
import { pauseOn } from '../ha/pause-on.ts'
import type { ConsensusHost, NodeState, PeerWire } from './host-ports.ts'

const LOOK_EVERY_MS = 50

export type FoundingDeps = {
  readonly clock: Clock
  readonly log: Logger
  readonly state: NodeState
  readonly host: ConsensusHost
}

export type ConsensusOptions = {
  readonly self: string
  readonly scope: string
  readonly members: readonly string[]
  readonly policy: Policy
}

type Joined = NonNullable<MembershipNotes['joined']>

/** Where this node stands before consensus runs: told to the others, and shown to people. */
export class Founding {
  readonly #deps: FoundingDeps
  readonly #options: ConsensusOptions
  readonly #joined: Joined | undefined
  /** Which of those that ever had its name this node is: the random id of its consensus log. */
  readonly incarnation: string
  #hello: GenesisHello
  #waiting: string | undefined = 'starts'

  private constructor(
    deps: FoundingDeps,
    options: ConsensusOptions,
    own: { hello: GenesisHello; joined: Joined | undefined; incarnation: string },
  ) {
    this.#deps = deps
    this.#options = options
    this.#hello = own.hello
    this.#joined = own.joined
    this.incarnation = own.incarnation
  }

  static async prepare(
    deps: FoundingDeps,
    options: ConsensusOptions,
    isDataEmpty: boolean,
  ): Promise<Founding> {
    const { state } = deps
    const storage = openRaftStorage(state.raftFolder, deps.host.disk)
    if (storage.kind === 'corrupt') throw storage.fault
    if (storage.kind === 'group') await state.noteFounded()
    else if (await state.wasFounded()) throw logAbsent(options.self, state.raftFolder)
    const group = storage.kind === 'group' ? await state.readGenesis() : undefined
    const joined = (await state.readMembership())?.joined
    const nonce = await state.nonce()
    const hello = {
      nonce,
      list: listFingerprint(options.scope, options.members),
      isEmpty: isDataEmpty && storage.kind === 'absent',
      ...(group ? { group } : {}),
    }
    const incarnation = incarnationIn(storage, options.self) ?? joined?.incarnation ?? nonce
    return new Founding(deps, options, { hello, joined, incarnation })
  }

  get hello(): GenesisHello {
    return this.#hello
  }

  /** Why consensus does not run yet; `undefined` once it does. */
  get waiting(): string | undefined {
    return this.#waiting
  }

  /** Opens this node's consensus log, founding the group first when all members agree to. Waits for as long as that takes. */
  async open(
    heartbeats: Heartbeats,
    link: PeerWire,
    options: { signal: AbortSignal; onFatal: (thrown: unknown) => void },
  ): Promise<RaftStore | undefined> {
    const { clock, log, state, host } = this.#deps
    if (!this.#hello.group && this.#joined) await this.#join(this.#joined)
    while (!this.#hello.group) {
      if (options.signal.aborted) return undefined
      await this.#tryToFound(heartbeats)
      if (!this.#hello.group) await pauseOn(clock, LOOK_EVERY_MS, options.signal)
    }
    heartbeats.push()
    this.#waiting = undefined
    const { self, policy } = this.#options
    return createRaftStore(
      {
        log,
        now: clock.monotonic,
        after: clock.after,
        ...host,
        transport: {
          send: (peer, message) => void link.send(peer, 'raft', message),
          onMessage: (listener) => link.onFrame('raft', listener),
          onPeerLost: (listener) => link.onLost(listener),
        },
        onFatal: options.onFatal,
      },
      { self, folder: state.raftFolder, timing: RAFT_TIMINGS[policy.profile] },
    )
  }

  /** Begins the empty log of a member that was invited: it votes only after the others made it a voter. */
  async #join({ groupId, incarnation }: Joined): Promise<void> {
    const { state, log, host } = this.#deps
    const genesis = { groupId, nonces: {} }
    // Order: as at a founding.
    await state.writeGenesis(genesis)
    joinRaftGroup(state.raftFolder, { groupId, self: this.#options.self, incarnation }, host.disk)
    await state.noteFounded()
    this.#hello = { ...this.#hello, isEmpty: false, group: genesis }
    log.info('Joined the consensus group as a learner', { group: groupId, incarnation })
  }

  async #tryToFound(heartbeats: Heartbeats): Promise<void> {
    const { self, members } = this.#options
    const verdict = judgeGenesis({ name: self, hello: this.#hello }, members, heartbeats.genesisHellos())
    if (verdict.kind !== 'found') {
      this.#say(verdict.kind, verdict.why)
      return
    }
    const { genesis } = verdict
    const voters = Object.keys(genesis.nonces)
    if (!voters.includes(self)) {
      throw new Fault(
        'GENESIS_WITHOUT_SELF',
        `Cannot found the cluster: "${self}" is not among ${voters.join(', ')}`,
      )
    }
    const { state, log, host } = this.#deps
    // Order: the genesis is on disk before the log, so that a founded log always has its genesis beside it.
    await state.writeGenesis(genesis)
    const identities = voters.map((name) => ({ name, incarnation: genesis.nonces[name] ?? '' }))
    foundRaftGroup(state.raftFolder, { groupId: genesis.groupId, voters: identities }, host.disk)
    // Order: before the first vote. From here on the log must never be made a second time.
    await state.noteFounded()
    this.#hello = { ...this.#hello, isEmpty: false, group: genesis }
    log.info('Founded the consensus group', { group: genesis.groupId, voters })
  }

  #say(kind: 'waits' | 'refused', why: string): void {
    if (this.#waiting === why) return
    this.#waiting = why
    if (kind === 'refused') this.#deps.log.error('Cannot join the cluster', { why })
    else this.#deps.log.info('Cluster not founded yet', { why })
  }
}

/** The incarnation that the log on disk has; `undefined` where there is none. */
function incarnationIn(storage: FoundStorage, self: string): string | undefined {
  if (storage.kind !== 'group') return undefined
  const { owner, snapshot } = storage.content
  return incarnationOf(owner ?? memberNamed(snapshot.configuration, self) ?? self)
}

function logAbsent(self: string, folder: string): Fault {
  return new Fault(
    'RAFT_LOG_ABSENT',
    `Cannot take part in consensus: "${folder}" is gone, and this node may have voted with what was in it; ${howToReturn(self)}`,
  )
}
