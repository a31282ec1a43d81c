/** The clock and timers of this backend: the real ones, or a simulator's. */
export type Timing = {
  /** Monotonic milliseconds. */
  readonly now: () => number
  readonly after: (ms: number, task: () => void) => () => void
}

/** A moment by which something has to be done, and a signal that is aborted then. */
export type TimeLimit = {
  readonly signal: AbortSignal
  remaining(): number
  /** To be called when it is done: ends the timer. */
  clear(): void
}

/** Also aborted when `outer` is. */
export function startTimeLimit(ms: number, timing: Timing, outer: AbortSignal): TimeLimit {
  const endsAt = timing.now() + ms
  const abort = new AbortController()
  const cancel = timing.after(ms, () => abort.abort(new Error(`no answer within ${Math.round(ms)} ms`)))
  const follow = (): void => abort.abort(outer.reason)
  if (outer.aborted) follow()
  else outer.addEventListener('abort', follow, { once: true })
  return {
    signal: abort.signal,
    remaining: () => Math.max(0, endsAt - timing.now()),
    clear() {
      cancel()
      outer.removeEventListener('abort', follow)
    },
  }
}

/** Resolves after `ms` or when `signal` is aborted. */
export function wait(ms: number, timing: Timing, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const finish = (): void => {
      cancel()
      signal.removeEventListener('abort', finish)
      resolve()
    }
    const cancel = timing.after(ms, finish)
    signal.addEventListener('abort', finish, { once: true })
  })
}
