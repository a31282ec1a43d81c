import { randomBetween, randomBytes } from '../../platform/random.ts'
import type { CancelKey } from '../../wire/startup.ts'
import type { PooledClient } from './pooled-client.ts'

/** Protocol 3.0 has room for 4 bytes; 3.2 for 256, and wants them hard to guess. */
const SHORT_BYTES = 4
const LONG_BYTES = 32
const PROCESS_ID_MAX = 0x7fff_ffff

/**
 * The keys that clients of the pooled port cancel their statements with: the router's own, since a client has many server
 * connections in its life.
 */
export class ClientKeys {
  readonly #clients = new Map<string, PooledClient>()

  newKey(isLong: boolean): CancelKey {
    return {
      processId: randomBetween(1, PROCESS_ID_MAX),
      secret: randomBytes(isLong ? LONG_BYTES : SHORT_BYTES),
    }
  }

  add(key: CancelKey, client: PooledClient): void {
    this.#clients.set(nameOf(key), client)
  }

  find(key: CancelKey): PooledClient | undefined {
    return this.#clients.get(nameOf(key))
  }

  remove(key: CancelKey): void {
    this.#clients.delete(nameOf(key))
  }
}

function nameOf(key: CancelKey): string {
  return `${key.processId} ${key.secret.toString('latin1')}`
}
