import { Violation } from '../../checkers/violation.ts'
import type { FinalFacts } from './cluster-facts.ts'

/** G2: a commit that was acknowledged while others had to have it is there in the end, whoever its client was. */
export function checkNothingIsLost(final: FinalFacts): void {
  const primary = final.members.find(({ instance }) => instance.role === 'primary')
  const present = new Set(primary === undefined ? [] : final.rows.get(primary.name))
  for (const ack of final.acks) {
    if (!ack.isAwaited || present.has(ack.token)) continue
    throw new Violation(
      `token ${ack.token} was acknowledged by ${ack.host} in epoch ${ack.epoch} (timeline ${ack.timeline}, LSN ${ack.lsn}) at ${ack.at} while others had to have it, and it is gone`,
      'no-acknowledged-loss',
    )
  }
}
