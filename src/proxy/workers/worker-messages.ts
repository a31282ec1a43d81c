import type { ListenPorts } from '../frontend/router-ports.ts'
import type { PortName } from '../port-counters.ts'
import type { Recall } from './connection-lender.ts'
import type { CrewRequest } from './crew.ts'
import type { Limit } from './shared-counts.ts'

/*
 * What supervisor and workers say to each other, as JSON on the line between parent and child. Both are the same program, so
 * nothing is checked twice.
 */

export type ToWorker =
  | {
      readonly kind: 'begin'
      readonly place: number
      readonly size: number
      readonly ports: ListenPorts
    }
  /** Comes with a socket. */
  | { readonly kind: 'client'; readonly port: PortName; readonly id: number }
  | { readonly kind: 'entered'; readonly id: number; readonly full?: Limit }
  | { readonly kind: 'lent'; readonly id: number }
  | { readonly kind: 'recall'; readonly recall: Recall }
  | { readonly kind: 'asked'; readonly id: number; readonly request: CrewRequest }
  | {
      readonly kind: 'answers'
      readonly id: number
      readonly answers: readonly unknown[]
      readonly missing: number
    }
  | { readonly kind: 'stop' }
  /** Others have the ports: it ends when its clients have, or after this. */
  | { readonly kind: 'retire'; readonly withinMs: number }

export type FromWorker =
  /** It takes clients from now on. */
  | { readonly kind: 'ready' }
  /** The connection is its own from now on. */
  | { readonly kind: 'received'; readonly id: number }
  /** Again and again; `ended`: so many of the connections that it was handed have ended since. */
  | { readonly kind: 'alive'; readonly ended: number }
  | { readonly kind: 'enter'; readonly id: number; readonly limits: readonly Limit[] }
  | { readonly kind: 'leave'; readonly limits: readonly Limit[] }
  | { readonly kind: 'wish'; readonly id: number; readonly limits: readonly Limit[] }
  | { readonly kind: 'withdraw'; readonly id: number; readonly limits: readonly Limit[] }
  | { readonly kind: 'give-back'; readonly limits: readonly Limit[] }
  | { readonly kind: 'ask'; readonly id: number; readonly request: CrewRequest }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: unknown }
