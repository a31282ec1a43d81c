import { leaseHolder, ownMember } from '../../api/lease-holder.ts'
import { patroniHistory } from '../../api/patroni/cluster-members.ts'
import { statusDocument } from '../../api/patroni/status-document.ts'
import type { Keys } from '../../ha/keys.ts'
import { pauseOn } from '../../ha/pause-on.ts'
import type { Clock, Store } from '../../ha/ports.ts'
import type { ClusterView } from '../../model/cluster-view.ts'
import type { Logger } from '../../platform/log.ts'
import { codeOf, messageOf } from '../../std/fault.ts'
import { SECOND } from '../../std/units.ts'

const EVERY_MS = 2 * SECOND
const WRITE_MS = SECOND

export type PatroniKeysDeps = {
  readonly clock: Clock
  readonly log: Logger
  readonly store: Store
  readonly keys: Keys
  readonly self: string
  readonly view: () => ClusterView
}

/**
 * Keeps in etcd what Patroni keeps there for others to read (members, position, history), so that its tools show this cluster. For them
 * alone: nothing of pg-metako ever reads it back, and it is late by a few seconds. Ends when the signal does.
 */
export async function publishForPatroni(deps: PatroniKeysDeps, signal: AbortSignal): Promise<void> {
  const { clock, log, store, keys, self } = deps
  while (!signal.aborted) {
    const node = store.peek(keys.node(self))
    const config = store.peek(keys.config)
    const changed = [...wantedKeys(deps)].filter(([key, value]) => store.peek(key)?.value !== value)
    if (node && changed.length > 0) {
      try {
        await store.transact(
          {
            // One that was removed meanwhile must not come back in there.
            compares: [
              { kind: 'mod', key: node.key, revision: node.modRevision },
              // Its tools fail without one, and whoever sets something goes first.
              ...(config ? [] : [{ kind: 'mod', key: keys.config, revision: 0 } as const]),
            ],
            operations: [...changed, ...(config ? [] : [[keys.config, '{}'] as const])].map(
              ([key, value]) => ({ kind: 'put', key, value }),
            ),
          },
          { deadlineMs: WRITE_MS },
        )
      } catch (error) {
        if (codeOf(error) === 'STORE_STOPPED') return
        log.debug('Cannot write what tools of Patroni read', { error: messageOf(error) })
      }
    }
    await pauseOn(clock, EVERY_MS, signal)
  }
}

/** Every node writes of itself, the holder of the lease also what is one for all. */
export function wantedKeys({
  view,
  keys,
  self,
}: Pick<PatroniKeysDeps, 'view' | 'keys' | 'self'>): Map<string, string> {
  const seen = view()
  const facts = ownMember(seen)?.facts
  const wanted = new Map<string, string>()
  if (!facts) return wanted
  const { state, role, timeline, xlog, replication_state, tags, ...more } = statusDocument(seen)
  const { pending_restart, scheduled_restart, pause } = more
  const position =
    xlog && ('location' in xlog ? xlog.location : Math.max(xlog.received_location, xlog.replayed_location))
  const { host, port, apiUrl, version } = facts
  const member = {
    conn_url: `postgres://${host.includes(':') ? `[${host}]` : host}:${port}/postgres`,
    api_url: `${apiUrl.replace(/\/+$/, '')}/patroni`,
    ...{ state, role, version, timeline, replication_state, tags, pending_restart, scheduled_restart, pause },
    xlog_location: position,
  }
  wanted.set(keys.member(self), JSON.stringify(member))
  if (leaseHolder(seen) !== self || position === undefined || role !== 'primary') return wanted
  wanted.set(keys.status, JSON.stringify({ optime: position }))
  wanted.set(keys.history, JSON.stringify(patroniHistory(seen)))
  return wanted
}
