import type { EpochRecord } from '../../../../src/model/epoch-record.ts'
import type { MemberTags } from '../../../../src/model/member-tags.ts'
import { rulesOf } from '../../../../src/model/ack-rule.ts'
import { Violation } from '../../checkers/violation.ts'

/** Nobody whom its operator keeps from it ever holds an epoch, nor is counted on for a commit. */
export function checkTagsAreKept(record: EpochRecord, tags: Readonly<Record<string, MemberTags>>): void {
  // Begun and nobody's: it names the holder of the epoch before, which is no other.
  if (tags[record.holder]?.nofailover) {
    throw new Violation(
      `${record.holder} holds epoch ${record.epoch} and is tagged nofailover`,
      'tags-are-kept',
    )
  }
  for (const link of record.acks ?? []) {
    for (const { name } of rulesOf(link).flatMap(({ members }) => members)) {
      const { nosync, nofailover } = tags[name] ?? {}
      if (nosync || nofailover) {
        throw new Violation(
          `commits of epoch ${link.epoch} wait for ${name}, which is tagged ${nosync ? 'nosync' : 'nofailover'}`,
          'tags-are-kept',
        )
      }
    }
  }
}
