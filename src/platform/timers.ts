/** Runs `task` once after `ms`; the returned function cancels it and may be called at any time. */
export function after(ms: number, task: () => void): () => void {
  const timer = setTimeout(task, ms)
  return () => clearTimeout(timer)
}

/** Runs `task` every `ms`; the returned function stops it. */
export function every(ms: number, task: () => void): () => void {
  const timer = setInterval(task, ms)
  return () => clearInterval(timer)
}

/** Resolves after `ms`, or at once when `signal` is or becomes aborted. Never rejects. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const finish = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', finish)
      resolve()
    }
    const timer = setTimeout(finish, ms)
    signal?.addEventListener('abort', finish, { once: true })
  })
}

/** Like `after`, but does not keep the process alive. */
export function afterUnheld(ms: number, task: () => void): () => void {
  const timer = setTimeout(task, ms)
  timer.unref()
  return () => clearTimeout(timer)
}

/** Runs `task` after the events that are already waiting: later than every promise, sooner than any timer. */
export function soon(task: () => void): void {
  setImmediate(task)
}
