import type { RouteTarget } from '../../model/routing-table.ts'

/** How often a target that refuses is asked again, by one waiting client for all. */
export const PROBE_EVERY_MS = 50
/** A table names a handful of targets; older ones are forgotten at a new epoch, this bounds the rest. */
const TARGETS_MAX = 256

type Suspicion = { probing: boolean; nextProbeAt: number }

/**
 * Remembers which targets refuse, so that a thousand waiting clients send one connection attempt every 50 ms
 * to a PostgreSQL that is just starting, instead of a thousand.
 */
export class TargetHealth {
  readonly #suspects = new Map<string, Suspicion>()

  /** Whether a client may dial now. For a suspect the answer is yes to one at a time: call `begin` at once. */
  mayDial(target: RouteTarget, now: number): boolean {
    const suspicion = this.#suspects.get(keyOf(target))
    return !suspicion || (!suspicion.probing && now >= suspicion.nextProbeAt)
  }

  begin(target: RouteTarget): void {
    const suspicion = this.#suspects.get(keyOf(target))
    if (suspicion) suspicion.probing = true
  }

  failed(target: RouteTarget, now: number): void {
    if (this.#suspects.size >= TARGETS_MAX) this.#suspects.clear()
    this.#suspects.set(keyOf(target), { probing: false, nextProbeAt: now + PROBE_EVERY_MS })
  }

  /** The attempt ended without a verdict. */
  abandoned(target: RouteTarget): void {
    const suspicion = this.#suspects.get(keyOf(target))
    if (suspicion) suspicion.probing = false
  }

  /** True when the target had been suspect: those who wait for it may go now. */
  answered(target: RouteTarget): boolean {
    return this.#suspects.delete(keyOf(target))
  }

  forgetAll(): void {
    this.#suspects.clear()
  }
}

function keyOf(target: RouteTarget): string {
  return `${target.host} ${target.port}`
}
