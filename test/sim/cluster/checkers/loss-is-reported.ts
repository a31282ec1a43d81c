import { Violation } from '../../checkers/violation.ts'
import { readLsn } from '../../postgres/lsn.ts'
import type { BackendAcknowledgement, FinalFacts } from './cluster-facts.ts'

/**
 * G3: an acknowledged commit that is not there in the end is one that the product itself has reported as lost. And nothing is
 * there twice, on any member.
 */
export function checkLossIsReported(final: FinalFacts): { readonly missing: number } {
  const primary = final.members.find(({ instance }) => instance.role === 'primary')
  const rows = primary === undefined ? undefined : final.rows.get(primary.name)
  if (rows === undefined) throw new Violation('no primary answers in the end', 'loss-is-reported')
  const present = new Set(rows)
  if (present.size !== rows.length) throw new Violation('a statement ran twice', 'loss-is-reported')
  const acks = new Map(final.acks.map((ack) => [ack.token, ack]))
  let missing = 0
  for (const { token, epoch } of final.acknowledged) {
    if (present.has(token)) continue
    missing += 1
    const ack = acks.get(token)
    if (ack === undefined) throw new Violation(`nobody ever committed token ${token}`, 'loss-is-reported')
    if (!final.isBeyondReport(ack) && !final.losses.some((loss) => isIn(ack, loss))) {
      throw new Violation(
        `token ${token} was acknowledged in epoch ${epoch} (${ack.host}, timeline ${ack.timeline}, xid ${ack.xid}); it is gone and nobody reported it`,
        'loss-is-reported',
      )
    }
  }
  return { missing }
}

/** A report covers the way of the old primary's WAL from the fork to the end of its last timeline, or says that it cannot be read. */
function isIn(ack: BackendAcknowledgement, loss: FinalFacts['losses'][number]): boolean {
  if (ack.timeline > loss.timeline || ack.lsn <= readLsn(loss.forkLsn)) return false
  return loss.isUnreadable === true ? ack.lsn <= readLsn(loss.endLsn) : loss.xids.includes(ack.xid)
}
