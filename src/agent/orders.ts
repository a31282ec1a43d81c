import type {
  ConfigChange,
  ConfigOutcome,
  ConfirmDownOutcome,
  HoldOutcome,
  HoldWish,
  Refused,
  ReinitOutcome,
  RestartOutcome,
  RestartWish,
  ScheduleOutcome,
  ScheduleWish,
  SwitchoverOrder,
  SwitchoverOutcome,
  UnscheduleOutcome,
} from '../api/ports.ts'
import { judgeCandidates, type CandidateVerdict } from '../ha/decide/candidates.ts'
import type { Keys } from '../ha/keys.ts'
import type { Clock, LocalInstance } from '../ha/ports.ts'
import type { Snapshot } from '../ha/snapshot.ts'
import { dynamicObject, type JsonObject } from '../model/dynamic-config.ts'
import type { MemberFacts } from '../model/member.ts'
import type { Brain } from './brain.ts'
import { changeConfig } from './change-config.ts'
import { confirmDown } from './confirm-down.ts'
import { hold, unhold } from './hold.ts'
import { requestReinit } from './reinit.ts'
import { requestRestart } from './restart.ts'
import { schedule, unschedule } from './schedule.ts'
import { requestSwitchover } from './switchover.ts'

type OrdersParts = {
  readonly clock: Clock
  readonly keys: Keys
  readonly instance: LocalInstance
  /** This agent only watches its PostgreSQL. */
  readonly isAttached: boolean
  readonly own: () => MemberFacts
  readonly now: () => { readonly brain: Brain | undefined; readonly seen: Snapshot | undefined }
}

const NOT_RUNNING: Refused<'NO_QUORUM'> = {
  kind: 'refused',
  reason: 'NO_QUORUM',
  message: 'Consensus does not run yet',
}

/** What people ask of the cluster through this node, whichever member it is about: each order lies in the store until it is dealt with. */
export class Orders {
  readonly #parts: OrdersParts

  constructor(parts: OrdersParts) {
    this.#parts = parts
  }

  async switchover(order: SwitchoverOrder, deadlineMs: number): Promise<SwitchoverOutcome> {
    const { clock, keys, isAttached, now } = this.#parts
    if (isAttached)
      return { kind: 'refused', reason: 'ATTACHED', message: 'This agent only watches its PostgreSQL' }
    const { brain } = now()
    if (!brain) return NOT_RUNNING
    const { store, keeper } = brain
    return requestSwitchover({ clock, store, keeper, keys, seen: () => now().seen }, order, deadlineMs)
  }

  /** Has a member's data cloned anew. */
  async reinit(name: string): Promise<ReinitOutcome> {
    const { brain, seen } = this.#parts.now()
    if (!brain) return NOT_RUNNING
    return requestReinit({ store: brain.store, keys: this.#parts.keys, seen }, name)
  }

  /** Takes an operator's word that a silent primary's PostgreSQL does not run. */
  async confirmDown(name: string): Promise<ConfirmDownOutcome> {
    const { brain, seen } = this.#parts.now()
    if (!brain) return NOT_RUNNING
    return confirmDown({ store: brain.store, keys: this.#parts.keys, seen }, name)
  }

  /** Takes a standby out of service, or back. */
  async hold(wish: HoldWish): Promise<HoldOutcome> {
    const { clock, keys, now } = this.#parts
    const { brain } = now()
    if (!brain) return NOT_RUNNING
    const deps = { clock, store: brain.store, keys, seen: () => now().seen }
    return wish.isHeld ? hold(deps, wish) : unhold(deps, wish.name)
  }

  async restart(wish: RestartWish, deadlineMs: number): Promise<RestartOutcome> {
    const { clock, keys, own, now } = this.#parts
    const { brain } = now()
    if (!brain) return NOT_RUNNING
    return requestRestart({ clock, store: brain.store, keys, seen: () => now().seen, own }, wish, deadlineMs)
  }

  async schedule(wish: ScheduleWish): Promise<ScheduleOutcome> {
    const { keys, own, now } = this.#parts
    const { brain } = now()
    if (!brain) return NOT_RUNNING
    return schedule({ store: brain.store, keys, own, seen: () => now().seen }, wish)
  }

  async unschedule(what: ScheduleWish['kind']): Promise<UnscheduleOutcome> {
    const { keys, own, now } = this.#parts
    const { brain } = now()
    if (!brain) return NOT_RUNNING
    return unschedule({ store: brain.store, keys, own, seen: () => now().seen }, what)
  }

  /** What is set for the whole cluster, as far as this node has heard. */
  get dynamicConfig(): JsonObject {
    const { keys, now } = this.#parts
    return dynamicObject(now().brain?.store.peek(keys.config)?.value)
  }

  async changeConfig(change: ConfigChange): Promise<ConfigOutcome> {
    const { keys, instance, now } = this.#parts
    const { brain } = now()
    if (!brain) return NOT_RUNNING
    return changeConfig({ store: brain.store, keys, instance }, change)
  }

  /** Who could be handed to now, best first, and why the others could not, as this node sees it. */
  candidates(): readonly CandidateVerdict[] {
    const { seen } = this.#parts.now()
    const { record } = seen?.store ?? {}
    return seen && record ? judgeCandidates(seen, record, 'hand-over') : []
  }
}
