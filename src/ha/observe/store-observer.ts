import { clusterParameters, parseDynamicConfig } from '../../model/dynamic-config.ts'
import type { KeyValue } from '../../model/key-value.ts'
import { lifeOf, type InstanceFacts } from '../../model/member.ts'
import type { MonotonicMs } from '../../model/time.ts'
import type { Keys } from '../keys.ts'
import type { Clock, Store } from '../ports.ts'
import type { RecordKeeper } from '../record-keeper.ts'
import type { ReinitOrder, RestartOrder, StoreFacts } from '../snapshot.ts'
import { confirmedDownOf, parsed, requestOf } from './foreign-text.ts'

type Deps = { readonly clock: Clock; readonly store: Store; readonly keeper: RecordKeeper }

type Addresses = StoreFacts['addresses']

/** As they were read from `entry`; `parameters` as one comparable text. */
type ClusterSettings = {
  readonly entry: KeyValue | undefined
  readonly isPaused: boolean
  readonly parameters: string
}

/** The facts of a snapshot that come from the store. Reads what this node has applied, and never waits. */
export class StoreObserver {
  readonly #deps: Deps
  readonly #keys: Keys
  #addresses: { readonly entries: readonly KeyValue[]; readonly addresses: Addresses } = {
    entries: [],
    addresses: {},
  }
  #config: ClusterSettings = { entry: undefined, isPaused: false, parameters: '{}' }
  #quorum: { readonly has: boolean; readonly changedAt: MonotonicMs }

  constructor(deps: Deps, keys: Keys) {
    this.#deps = deps
    this.#keys = keys
    this.#quorum = { has: false, changedAt: deps.clock.monotonic() }
  }

  observe(): StoreFacts {
    const { store, keeper, clock } = this.#deps
    const keys = this.#keys
    const request = store.peek(keys.failover)
    const down = confirmedDownOf(store.peek(keys.confirmedDown)?.value ?? '')
    const hasQuorum = store.status().hasQuorum && keeper.isRead
    if (hasQuorum !== this.#quorum.has) this.#quorum = { has: hasQuorum, changedAt: clock.monotonic() }
    return {
      hasQuorum,
      quorumChangedAt: this.#quorum.changedAt,
      ...(keeper.record ? { record: keeper.record } : {}),
      recordRevision: keeper.revision,
      firstSeenAt: keeper.firstSeenAt,
      provenUntil: keeper.provenUntil,
      ...(request ? { request: requestOf(request.value, request.modRevision) } : {}),
      ...(down ? { confirmedDown: down } : {}),
      paused: this.isPaused,
      addresses: this.addresses,
    }
  }

  get isPaused(): boolean {
    return this.#readConfig().isPaused
  }

  /** What is set for the whole cluster is not this. */
  isUnconfigured(parameters: Readonly<Record<string, string>>): boolean {
    return this.#readConfig().parameters !== JSON.stringify(parameters)
  }

  /** It hardly ever changes. */
  #readConfig(): ClusterSettings {
    const entry = this.#deps.store.peek(this.#keys.config)
    if (entry !== this.#config.entry) {
      const isPaused = parseDynamicConfig(entry?.value).pause === true
      this.#config = { entry, isPaused, parameters: JSON.stringify(clusterParameters(entry?.value)) }
    }
    return this.#config
  }

  /** An order to clone a member anew counts for the copy that it named and in the epoch that it was given in: it never strikes what came later. */
  isReinitAsked(member: string, incarnation: string | undefined): boolean {
    const order = this.#deps.store.peek(this.#keys.reinit(member))
    if (order === undefined || incarnation === undefined) return false
    const asked = parsed(order.value) as Partial<ReinitOrder>
    return asked.incarnation === incarnation && asked.epoch === this.#deps.keeper.record?.epoch
  }

  /** An order to start a member anew counts for the life that it named. */
  isRestartAsked(member: string, instance: InstanceFacts): boolean {
    const order = this.#deps.store.peek(this.#keys.restart(member))
    if (order === undefined) return false
    return (parsed(order.value) as Partial<RestartOrder>).life === (lifeOf(instance) ?? '')
  }

  /** They hardly ever change. */
  get addresses(): Addresses {
    const { members } = this.#keys
    const entries = this.#deps.store.peekPrefix(members)
    const known = this.#addresses
    const isSame =
      known.entries.length === entries.length && entries.every((entry, at) => entry === known.entries[at])
    if (isSame) return known.addresses
    const addresses: Record<string, { host: string; port: number }> = {}
    for (const { key, value } of entries) {
      const member = parsed(value) as { host?: string; port?: number }
      if (member.host === undefined || member.port === undefined) continue
      addresses[key.slice(members.length)] = { host: member.host, port: member.port }
    }
    this.#addresses = { entries, addresses }
    return addresses
  }
}
