import type { NodeConfig } from './node-config.ts'

/** Who runs the PostgreSQL of a node: its agent, somebody else, or nobody, since it has none. */
export type NodeMode = 'managed' | 'attached' | 'witness'

export function nodeMode({ localDb, postgresql }: NodeConfig): NodeMode {
  if (localDb.roleHint === 'witness') return 'witness'
  return postgresql.dataDir === undefined ? 'attached' : 'managed'
}
