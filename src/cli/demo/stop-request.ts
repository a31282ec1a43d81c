import { watchLauncher } from '../../platform/launcher.ts'
import { onSignal, stderr, stdout } from '../../platform/process.ts'

/** Everything that means "stop the demo": aborted once asked, `hurry` once asked again. */
export type StopRequest = {
  readonly asked: AbortSignal
  readonly hurry: AbortSignal
  /** Asks from within. */
  ask(): void
  /** Forgets signals, parents and terminal. */
  release(): void
}

/**
 * Ctrl-C, SIGTERM, a closed terminal (SIGHUP, or a terminal that cannot be written to any more) and the end of the npm that
 * started us. A second Ctrl-C or SIGTERM is impatience.
 */
export function listenForStop(changed: () => void): StopRequest {
  const asked = new AbortController()
  const hurry = new AbortController()
  const stop = () => {
    if (asked.signal.aborted) return
    asked.abort()
    changed()
  }
  const stopHarder = () => {
    if (asked.signal.aborted) hurry.abort()
    stop()
  }
  // A reader that has closed its end of a pipe is no reason to stop: the demo has just lost its audience.
  const writeFailed = () => {
    if (stdout.isTTY) stop()
  }
  stdout.on('error', writeFailed)
  stderr.on('error', writeFailed)
  const releases = [
    onSignal('SIGINT', stopHarder),
    onSignal('SIGTERM', stopHarder),
    onSignal('SIGHUP', stop),
    watchLauncher(stop),
  ]
  return {
    asked: asked.signal,
    hurry: hurry.signal,
    ask: stop,
    release: () => {
      for (const release of releases) release()
    },
  }
}
