import type { Client } from 'pg'
import type { LossReport } from '#client'
import type { Mode } from '../../support/replication-mode.ts'

/**
 * `kill`: the postmaster. `crash`: all processes of the node. `power`: its whole host, silently. `cut`: its network cable.
 * `hang`: all of PostgreSQL stopped where it is. `disk`: what PostgreSQL writes does not return. `switchover`: as asked for.
 */
export const CASES = ['kill', 'crash', 'power', 'cut', 'hang', 'disk', 'switchover'] as const
export type Case = (typeof CASES)[number]

export type StartOptions = {
  readonly mode: Mode
  /** PostgreSQL's programs; absent: whatever the system finds. */
  readonly binDir: string | undefined
  /** Each node on a host of its own, with a cable that can be pulled; else all on 127.0.0.1. */
  readonly onHosts: boolean
}

/** A three-node cluster of one system, as the runs of the bench need it. Nodes go by name. */
export interface BenchCluster {
  readonly system: 'pg-metako' | 'patroni'
  /** Waits until all nodes are there and stream; resolves with the primary. */
  waitForHealthy(deadlineMs: number): Promise<string>
  /** A connection as an application opens it that does not run on this node. */
  connect(without: string): Promise<Client>
  /** Makes the fault; a switchover returns when it is over. Nothing comes back before `heal`. */
  fault(name: Case, primary: string): Promise<void>
  /** Waits until another node than `before` takes writes. */
  waitForTakeover(before: string, deadlineMs: number): Promise<void>
  heal(node: string): Promise<void>
  /** Losses that the system itself reported. */
  losses(): Promise<readonly LossReport[]>
  logTails(): string
  dispose(): Promise<void>
}
