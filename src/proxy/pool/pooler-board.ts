import type { RouteTarget, RoutingTable } from '../../model/routing-table.ts'
import type { CancelKey } from '../../wire/startup.ts'
import type { CloseReason } from '../close-reason.ts'
import type { Binding, Choice } from '../router/choose-target.ts'
import type { RouterTls } from '../tls/router-tls.ts'
import type { Newcomer } from './login-flow.ts'

/** What the pooler needs from the router around it. */
export interface PoolerBoard {
  readonly holdTimeoutMs: number
  readonly tls: RouterTls
  /** Whether bytes may pass to and from the primary at this moment. */
  primaryOpen(): boolean
  /** Whether the table names a primary: without one, statements wait. */
  hasPrimary(): boolean
  /** The table's primary, for those who look. */
  primary(): RouteTarget | undefined
  table(): RoutingTable | undefined
  /** Picks the primary to dial, and counts the attempt as begun. */
  choosePrimary(): Choice
  mayDial(target: RouteTarget): boolean
  /** The same as for the primary, for a replica that the table names. */
  chooseReplica(target: RouteTarget): Choice
  dialFailed(binding: Binding): void
  dialAbandoned(binding: Binding): void
  dialAnswered(binding: Binding): void
  /** PostgreSQL is to ask this client itself, in a session of its own. */
  passThrough(newcomer: Newcomer): void
  sendCancel(cancel: { readonly binding: Binding; readonly key: CancelKey }, done: () => void): void
  countClosed(reason: CloseReason): void
}
