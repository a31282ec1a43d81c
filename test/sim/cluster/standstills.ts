/** A process that stood still may answer what it had in hand before anybody on its host can act (safety.md 18). */
const GRACE_MS = 120

type FencingState = {
  /** Somebody on the host could fence its PostgreSQL now. */
  readonly isGuarded: boolean
  /** Its watchdog runs. */
  readonly isWatched: boolean
}

/** Which hosts, guards and routers stood still until just now, so that nobody can have acted there. Times in virtual ms. */
export class Standstills {
  readonly #guards = new Map<string, number>()
  readonly #routers = new Map<string, number>()
  readonly #hosts = new Map<string, number>()
  /** Hosts that woke with their guard stopped, or without one, and have had none that runs since. */
  readonly #unguardedSinceSleep = new Set<string>()

  guardGoesOn(host: string, now: number): void {
    this.#guards.set(host, now + GRACE_MS)
  }

  routerGoesOn(host: string, now: number): void {
    this.#routers.set(host, now + GRACE_MS)
  }

  hostWakes(host: string, now: number): void {
    this.#hosts.set(host, now + GRACE_MS)
    this.#unguardedSinceSleep.add(host)
  }

  wasRouterStill(host: string, now: number): boolean {
    return now < (this.#routers.get(host) ?? 0)
  }

  /**
   * Nobody here could have fenced, so that clients who bypass the router are not covered (G1). A watchdog covers them also without a guard,
   * but its count stands still while the host sleeps: behind a lease that ran out meanwhile only a guard looks at the other clock.
   */
  isUnguarded(host: string, now: number, { isGuarded, isWatched }: FencingState): boolean {
    if (now < (this.#hosts.get(host) ?? 0)) return true
    const lacksGuard = !isGuarded || now < (this.#guards.get(host) ?? 0)
    if (!lacksGuard) this.#unguardedSinceSleep.delete(host)
    return lacksGuard && (!isWatched || this.#unguardedSinceSleep.has(host))
  }
}
