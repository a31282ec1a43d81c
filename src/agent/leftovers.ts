import type { LocalInstance } from '../ha/ports.ts'
import type { Logger } from '../platform/log.ts'

/**
 * Ends what a postmaster left behind that was killed together with its agent and its guard: its backends go on
 * acknowledging commits for seconds (safety.md 7), and nobody watches them. A postmaster that lives is adopted instead.
 */
export async function endLeftovers(instance: LocalInstance, log: Logger): Promise<void> {
  const { state } = await instance.facts()
  if (state !== 'stopped' && state !== 'crashed') return
  try {
    await instance.kill()
  } catch (error) {
    log.error('Cannot end what an earlier PostgreSQL left', { error })
  }
}
