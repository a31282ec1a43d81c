/** How commits wait for standbys, as `replication.mode` says it. */
export const MODES = ['async', 'sync', 'quorum'] as const
export type Mode = (typeof MODES)[number]
