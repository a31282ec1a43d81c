import { dynamicObject } from '../../../../src/model/dynamic-config.ts'
import type { EpochRecord } from '../../../../src/model/epoch-record.ts'
import type { KeyValue } from '../../../../src/model/key-value.ts'
import { Violation } from '../../checkers/violation.ts'

/** While the cluster is paused no epoch is begun but one that its holder gave up at somebody's wish (docs/adr/0034). */
export class PauseIsKept {
  #last: EpochRecord | undefined

  /** `revision`: of the record; `config`: the settings where it was seen. */
  see(record: EpochRecord, revision: number, config: KeyValue | undefined): void {
    const before = this.#last
    const isNews =
      before === undefined ||
      record.epoch > before.epoch ||
      (record.epoch === before.epoch && record.seq > before.seq)
    if (!isNews) return
    this.#last = record
    if (before === undefined || record.epoch === before.epoch || before.state === 'released') return
    // Set after it was begun: that pause was not broken.
    if (config === undefined || config.modRevision > revision) return
    if (dynamicObject(config.value)['pause'] !== true) return
    throw new Violation(
      `${record.holder} is named in epoch ${record.epoch} (${record.state}, ${record.reason}), which was begun in a pause`,
      'pause-is-kept',
    )
  }
}
