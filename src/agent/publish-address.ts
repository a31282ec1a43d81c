import { pauseOn } from '../ha/pause-on.ts'
import type { Clock, Store } from '../ha/ports.ts'
import { codeOf } from '../std/fault.ts'
import { SECOND } from '../std/units.ts'

/** Writes where this node's PostgreSQL is, for members that cannot hear this agent later; tried until it stands there. */
export async function publishAddress(
  { clock, store, key }: { readonly clock: Clock; readonly store: Store; readonly key: string },
  { host, port, apiUrl }: { readonly host: string; readonly port: number; readonly apiUrl: string },
  signal: AbortSignal,
): Promise<void> {
  const value = JSON.stringify({
    conn_url: `postgres://${host}:${port}/postgres`,
    api_url: apiUrl,
    host,
    port,
  })
  while (!signal.aborted && store.peek(key)?.value !== value) {
    try {
      const put = { compares: [], operations: [{ kind: 'put', key, value } as const] }
      await store.transact(put, { deadlineMs: SECOND })
    } catch (error) {
      if (codeOf(error) === 'STORE_STOPPED') return
      await pauseOn(clock, SECOND, signal)
    }
  }
}
