import type { CancelOrder } from '../../model/cancel-order.ts'
import type { PortName } from '../port-counters.ts'

/* What a router and the one that takes its place say to each other, as JSON on the line between parent and child. */

export type ToHeir =
  /** Comes with the listening socket. */
  | { readonly kind: 'port'; readonly port: PortName }
  /** All ports were sent. */
  | { readonly kind: 'ports-sent' }
  | { readonly kind: 'cancelled'; readonly id: number }

export type FromHeir =
  /** It can serve, and wants the ports. */
  | { readonly kind: 'ports-wanted' }
  /** It listens: the predecessor need not any more. */
  | { readonly kind: 'ready' }
  /** A key that is none of its own. */
  | ({ readonly kind: 'cancel'; readonly id: number } & CancelOrder)
