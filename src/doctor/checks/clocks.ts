import { timeSpan } from '../../std/quantity-text.ts'
import { SECOND } from '../../std/units.ts'
import { ok, warning, type Check, type ClusterFacts } from '../diagnosis.ts'

/** Nothing is decided by these clocks: they stamp logs, and judge certificates and invitations. */
const APART_MAX_MS = 2 * SECOND

export const clocks: Check<ClusterFacts> = {
  name: 'clocks',
  about: 'the wall clocks of the nodes agree; nothing is decided by them',
  judge: ({ clocks: all }) => {
    const [first, ...rest] = all.toSorted((one, other) => one.offsetMs - other.offsetMs)
    const last = rest.at(-1)
    if (!first || !last) return []
    // Both were measured through a network: no more is known than this.
    const apartMs = Math.max(0, last.offsetMs - first.offsetMs - last.errorMs - first.errorMs)
    return apartMs >= APART_MAX_MS
      ? [
          warning(
            'CLOCKS_APART',
            `the clock of ${last.name} is at least ${timeSpan(apartMs)} ahead of that of ${first.name}: their logs cannot be read side by side`,
            `Run chrony or systemd-timesyncd on both: timedatectl set-ntp true`,
          ),
        ]
      : [
          ok(
            'CLOCKS',
            `the clocks of ${all.length} nodes are at most ${timeSpan(Math.max(0, last.offsetMs - first.offsetMs) + last.errorMs + first.errorMs)} apart`,
          ),
        ]
  },
}
