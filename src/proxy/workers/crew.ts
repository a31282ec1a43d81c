import type { CancelOrder } from '../../model/cancel-order.ts'
import type { ConsoleRequest } from '../pool/console/pool-console.ts'
import type { Recall } from './connection-lender.ts'
import type { Limit } from './shared-counts.ts'

/** What one worker asks of all of them, itself included. It crosses as JSON. */
export type CrewRequest = ConsoleRequest | ({ readonly kind: 'cancel' } & CancelOrder)

/** The other workers of this router, as one of them sees them. A router of one process has none. */
export interface Crew {
  /** From 0 on; no two workers that live have the same. */
  readonly place: number
  readonly size: number
  /** Counts a client in until `leave`; `full`: it is not counted, since a limit of the node is reached. */
  enter(limits: readonly Limit[], answer: (full: Limit | undefined) => void): void
  leave(limits: readonly Limit[]): void
  /** Wishes for one more server connection, which counts until `giveBack`; what is returned withdraws the wish. */
  borrow(limits: readonly Limit[], lent: () => void): () => void
  giveBack(limits: readonly Limit[]): void
  /** One answer of each worker that has one in time; `missing`: so many have none. */
  askAll(request: CrewRequest, done: (answers: readonly unknown[], missing: number) => void): void
}

/** What a worker does for the others. */
export interface CrewMember {
  answer(request: CrewRequest, reply: (answer: unknown) => void): void
  recall(recall: Recall): void
}
