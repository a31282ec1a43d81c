import { Violation } from '../../checkers/violation.ts'
import type { MemberGlimpse } from './cluster-facts.ts'

/** At most one member holds a proven lease at any true moment. A clock that stood still and was not looked at since proves nothing. */
export function checkLeaseIsExclusive(members: readonly MemberGlimpse[]): void {
  let holder: MemberGlimpse | undefined
  for (const member of members) {
    // A take-over by revocation waits for no lease: what is exclusive there is the right to acknowledge.
    if (member.record?.acks !== undefined) continue
    if (!member.isAgentAlive || member.isClockInDoubt || member.provenForMs <= 0) continue
    if (holder !== undefined) {
      throw new Violation(
        `${holder.name} (epoch ${holder.record?.epoch}) and ${member.name} (epoch ${member.record?.epoch}) hold a proven lease at once`,
        'lease-is-exclusive',
      )
    }
    holder = member
  }
}
