import type { SimFault } from './fault-schedule.ts'

/** What a process, a host or a network needs after its fault has ended, until nothing of it is left. */
const AFTERMATH_MS = 12_000

/** Whom a fault may keep from holding or renewing a lease, and for how long; nobody where it must not. */
export function disturbanceOf(
  fault: SimFault,
  all: readonly string[],
): { readonly hosts: readonly string[]; readonly ms: number } {
  switch (fault.kind) {
    case 'clock-step':
    case 'lag':
    case 'switchover':
    case 'restart-postgres':
    case 'set-parameters':
      return { hosts: [], ms: 0 }
    case 'kill':
      return { hosts: fault.process === 'router' ? [] : [fault.host], ms: AFTERMATH_MS }
    case 'pause':
      return { hosts: fault.process === 'router' ? [] : [fault.host], ms: fault.ms + AFTERMATH_MS }
    case 'kill-node':
    case 'restart-agent':
    case 'rot':
      return { hosts: [fault.host], ms: AFTERMATH_MS }
    case 'power':
    case 'stop-node':
    case 'suspend':
    case 'hang':
    case 'agent-disk':
    case 'new-disk':
      return { hosts: [fault.host], ms: fault.ms + AFTERMATH_MS }
    case 'gray':
      return { hosts: fault.hosts, ms: fault.ms + AFTERMATH_MS }
    // When the next write is, nobody knows.
    case 'cut-write':
      return { hosts: [fault.host], ms: fault.ms + 2 * AFTERMATH_MS }
    case 'partition':
      return { hosts: fault.links.flatMap((link) => link.split('>')), ms: fault.ms + AFTERMATH_MS }
    case 'pause-cluster':
    case 'network':
      return { hosts: all, ms: fault.ms + AFTERMATH_MS }
    case 'member-add':
    case 'member-remove':
    case 'member-replace':
    case 'upgrade':
      return { hosts: all, ms: AFTERMATH_MS }
  }
}
