import { pause } from '../../src/platform/timers.ts'

/** Waits until `look` gives something, or fails with `what` after the deadline. */
export async function eventually<T>(
  what: string | (() => string),
  look: () => T | undefined | false | Promise<T | undefined | false>,
  deadlineMs = 15_000,
): Promise<T> {
  const giveUpAt = Date.now() + deadlineMs
  for (;;) {
    const value = await look()
    if (value !== undefined && value !== false) return value
    if (Date.now() > giveUpAt) {
      throw new Error(`Not within ${deadlineMs} ms: ${typeof what === 'string' ? what : what()}`)
    }
    await pause(20)
  }
}
