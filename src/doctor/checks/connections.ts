import type { NodeFacts } from '#client'
import { ok, warning, type Check } from '../diagnosis.ts'

/** With less than a fifth left, a burst after a failover finds none. */
const FULL = 0.8

export const connections: Check<NodeFacts> = {
  name: 'connections',
  about: 'PostgreSQL has connections left',
  judge: ({ member }) => {
    const { activity } = member ?? {}
    if (!activity) return []
    const { connections: used, connectionsMax: max } = activity
    const evidence = `${used} of ${max} connections are in use`
    return [
      used >= max * FULL
        ? warning(
            'CONNECTIONS_SCARCE',
            evidence,
            'Let applications use the pooled port (6432), or raise postgresql.parameters.max_connections on all nodes, then: pg-metako restart',
          )
        : ok('CONNECTIONS', evidence),
    ]
  },
}
