import type { ClusterView } from '#client'
import type { LiveCluster } from './live-cluster.ts'

/** What somebody wants to see or to do; one at a time. */
export type Asked =
  | { readonly kind: 'member' | 'reinit' | 'restart' | 'remove' | 'confirm-down'; readonly name: string }
  | { readonly kind: 'switchover'; readonly to?: string }
  | { readonly kind: 'token' | 'invite' | 'reload' | 'pause' | 'keys' }

export type DialogProps = {
  readonly cluster: LiveCluster
  readonly view: ClusterView
  readonly ask: (asked: Asked | undefined) => void
}
