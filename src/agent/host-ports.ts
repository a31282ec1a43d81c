import type { Notebook } from '../ha/ports.ts'
import type { MembershipNotes } from '../model/membership.ts'
import type { MonotonicMs } from '../model/time.ts'
import type { RaftDisk } from '../store/raft/disk.ts'
import type { Genesis } from './genesis.ts'

/*
 * What the control plane of a node needs of its host beyond the ports of `ha/`. The real ones are `PeerLink` and
 * `StateFolder`; the cluster simulator (test/sim/cluster) fits a virtual network and disk.
 */

/** What a message between agents carries. */
export type FrameKind = 'raft' | 'heartbeat' | 'registry' | 'cancel'

/** A peer, where it is, and which of those that ever had its name; absent: before the cluster is founded, any. */
export type PeerAddress = {
  readonly name: string
  readonly host: string
  readonly port: number
  readonly incarnation?: string
}

/** One that was removed: it is refused, and told why. */
export type RemovedPeer = { readonly name: string; readonly incarnation: string; readonly at: string }

export type PeerList = {
  /** Which of those that ever had its name this node is: said to every peer. */
  readonly ownIncarnation: string
  readonly peers: readonly PeerAddress[]
  readonly removed: readonly RemovedPeer[]
}

/** Messages to the other agents: best effort, in order for each peer while its connection holds. */
export interface PeerWire {
  /** False when it was dropped at once. */
  send(peer: string, kind: FrameKind, payload: Uint8Array): boolean
  onFrame(kind: FrameKind, listener: (peer: string, payload: Uint8Array) => void): () => void
  onConnected(listener: (peer: string) => void): void
  /** A peer's own connection broke: it died, restarted, or its network did. */
  onLost(listener: (peer: string) => void): () => void
  /**
   * Who the peers are from now on: new ones are dialled, those that are none any more are cut and refused. Called before the
   * first message, and at any time after; often with nothing new.
   */
  setPeers(list: PeerList): void
  /** A peer, which proved itself, told this node that it was removed at that time. */
  onRemoved(listener: (at: string) => void): void
}

/** What must survive the agent; durable before each call returns. */
export interface NodeState extends Notebook {
  readonly raftFolder: string
  /** The random id of this node in the founding of the cluster; made once. */
  nonce(): Promise<string>
  readGenesis(): Promise<Genesis | undefined>
  writeGenesis(genesis: Genesis): Promise<void>
  /** This node has had a consensus log: without it, it may have voted and not know it. */
  wasFounded(): Promise<boolean>
  noteFounded(): Promise<void>
  /** The copy of the registry of members, and whether this node joined or left; absent before there was one. */
  readMembership(): Promise<MembershipNotes | undefined>
  writeMembership(notes: MembershipNotes): Promise<void>
}

/** The consensus log's surroundings; what is left out is the real thing. */
export type ConsensusHost = {
  readonly disk?: RaftDisk
  /** Runs a task after what is already waiting. */
  readonly soon?: (task: () => void) => void
  /** 32 bits for election delays. */
  readonly seed?: number
  /** Unique texts over all starts of all members. */
  readonly newNonce?: () => string
}

/** In the past of every clock. */
export const NEVER: MonotonicMs = 0 as MonotonicMs
