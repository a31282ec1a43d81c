import type { KeyValue } from '../../model/key-value.ts'
import { Fault } from '../../std/fault.ts'
import type { Header } from './messages.ts'

/** What a node has seen of an etcd cluster; kept by the caller it outlives the process. */
export type SeenCluster = { readonly clusterId: string; readonly revision: number }

/**
 * Is it still the store that we knew? An etcd that was set up anew or restored from a backup has forgotten what others act
 * upon (safety.md 16): a compare-and-swap on it proves nothing. Three signs: another cluster id, a revision that went back,
 * and entries that contradict what the mirror has seen. Found once it stays found: only an operator can say what is true.
 */
export class ClusterIdentity {
  #seen: SeenCluster | undefined
  #fault: Fault<'STORE_RESTORED'> | undefined

  constructor(known: SeenCluster | undefined) {
    this.#seen = known
  }

  get seen(): SeenCluster | undefined {
    return this.#seen
  }

  get fault(): Fault<'STORE_RESTORED'> | undefined {
    return this.#fault
  }

  /** The revision below which no linearizable answer to a request sent now can be. */
  get floor(): number {
    return this.#seen?.revision ?? 0
  }

  /** Takes the header of a linearizable answer. Throws `STORE_RESTORED`. */
  check({ clusterId, revision }: Header, floor: number): void {
    const seen = this.#seen
    if (seen !== undefined && clusterId !== seen.clusterId) {
      this.#condemn(`it answers as cluster ${clusterId}, and was ${seen.clusterId}`)
    }
    if (revision < floor) this.#condemn(`its revision is ${revision}, and was ${floor} already`)
    this.#seen = { clusterId, revision: Math.max(revision, seen?.revision ?? 0) }
  }

  /** Compares a complete list with a mirror that stands at `revision`. Throws `STORE_RESTORED`. */
  compare(
    entries: readonly KeyValue[],
    mirror: { readonly revision: number; get(key: string): KeyValue | undefined },
  ): void {
    for (const entry of entries) {
      if (entry.modRevision > mirror.revision) continue
      const known = mirror.get(entry.key)
      if (known?.modRevision === entry.modRevision && known.value === entry.value) continue
      this.#condemn(`"${entry.key}" has another past: revision ${entry.modRevision} was seen without it`)
    }
  }

  #condemn(what: string): never {
    this.#fault ??= new Fault(
      'STORE_RESTORED',
      `Cannot trust etcd any more: ${what}; it was set up anew or restored from a backup`,
    )
    throw this.#fault
  }
}
