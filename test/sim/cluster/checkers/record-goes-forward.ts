import type { EpochRecord } from '../../../../src/model/epoch-record.ts'
import { Violation } from '../../checkers/violation.ts'

/** No member ever learns an older record than it knew: epoch and seq only grow, one epoch has one holder, history only gets longer. */
export class RecordGoesForward {
  readonly #last = new Map<string, EpochRecord>()
  readonly #holders = new Map<number, string>()

  /** A new life of an agent may begin with an older copy. */
  forget(member: string): void {
    this.#last.delete(member)
  }

  /** True for a record that this member did not know. */
  see(member: string, record: EpochRecord): boolean {
    const last = this.#last.get(member)
    if (last === record) return false
    this.#last.set(member, record)
    if (last !== undefined) checkGrowth(member, last, record)
    // Begun and nobody's: it names the holder of the epoch before.
    if (record.state === 'pledging') return true
    const holder = this.#holders.get(record.epoch)
    if (holder !== undefined && holder !== record.holder) {
      throw new Violation(
        `epoch ${record.epoch} belongs to ${record.holder} and to ${holder}`,
        'record-goes-forward',
      )
    }
    this.#holders.set(record.epoch, record.holder)
    checkTimelines(record)
    return true
  }
}

function checkGrowth(member: string, last: EpochRecord, record: EpochRecord): void {
  const isBack = record.epoch < last.epoch || (record.epoch === last.epoch && record.seq < last.seq)
  if (isBack) {
    throw new Violation(
      `${member} went from epoch ${last.epoch} seq ${last.seq} back to epoch ${record.epoch} seq ${record.seq}`,
      'record-goes-forward',
    )
  }
  const lost = last.chain.find((link) => !record.chain.some((one) => one.epoch === link.epoch))
  if (lost !== undefined && record.chain.length < 100) {
    throw new Violation(
      `the history of epoch ${record.epoch} lost epoch ${lost.epoch}`,
      'record-goes-forward',
    )
  }
}

/** A timeline id names one branch (safety.md M12). */
function checkTimelines({ epoch, chain }: EpochRecord): void {
  const timelines = new Set(chain.map(({ timeline }) => timeline))
  if (timelines.size !== chain.length) {
    throw new Violation(`in epoch ${epoch} two links of the history have one timeline`, 'record-goes-forward')
  }
}
