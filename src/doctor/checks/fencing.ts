import type { NodeFacts } from '#client'
import { error, note, ok, warning, type Check } from '../diagnosis.ts'

export const fencing: Check<NodeFacts> = {
  name: 'fencing',
  about: 'a guard runs, and a watchdog where one is wanted',
  judge: ({ member, setup }) => {
    if (!member || setup.mode !== 'managed') return []
    const guard =
      member.guard === 'absent'
        ? error(
            'GUARD_ABSENT',
            `no guard runs: a primary that loses its agent here would run on`,
            'Its agent starts it again by itself; if it does not, see guard.log in the state folder',
          )
        : ok('GUARD', `the guard is ${member.guard}`)
    const { watchdog } = member
    if (!watchdog)
      return [
        guard,
        note(
          'NO_WATCHDOG',
          `no watchdog is used: a host on which agent and guard both stand still fences nothing`,
          'Where the host has one: watchdog.mode: automatic',
        ),
      ]
    if (watchdog.state === 'armed' || watchdog.state === 'usable')
      return [guard, ok('WATCHDOG', `the watchdog is ${watchdog.state}`)]
    const evidence = `the watchdog is ${watchdog.state}: ${watchdog.why ?? 'nothing is known of it'}`
    const fix =
      'modprobe softdog (or the driver of the board), and let the group of the agent write to it: deploy/udev'
    return [
      guard,
      watchdog.mode === 'required'
        ? error('WATCHDOG_UNUSABLE', `${evidence}; this node does not become primary`, fix)
        : warning('WATCHDOG_UNUSABLE', evidence, fix),
    ]
  },
}
