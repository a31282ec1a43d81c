import type { ClusterView } from '#client'

/** What a person does about a finding; `undefined` where the cluster mends it by itself and nothing is to be done yet. */
export function adviceFor(code: string, view: ClusterView): string | undefined {
  if (code === 'NO_QUORUM') {
    const needed = Math.floor(view.consensus.voters.length / 2) + 1
    return `Start agents, or mend the network, until ${needed} of ${view.consensus.voters.length} voters answer each other. Nothing is lost by waiting.`
  }
  return ADVICE[code]
}

const ADVICE: Readonly<Record<string, string>> = {
  MEMBER_SILENT:
    'Look at its host and network; start its agent if it is down (systemctl start pg-metako). It comes back by itself.',
  INSTANCE_DOWN: 'Its agent starts it again. If that does not work, the log of that node says why.',
  NOT_STREAMING:
    'It connects again by itself. If it stays, look at its log; as a last resort have it cloned anew.',
  GUARD_ABSENT: 'It is started again by its agent. If it stays away, look at the memory of that host.',
  WATCHDOG_UNUSABLE: 'Give the agent’s group the right to the device, or set watchdog.mode.',
  PAUSED: 'When the work is done: Resume, above the members.',
  HOLDER_UNFENCED:
    'Start the agent of that host again. Or switch the host off, open that member here and confirm that it is down.',
  NO_STANDBY_STREAMS: 'Bring a standby back: until then the death of the primary’s disk loses data.',
  COMMITS_WAIT: 'Bring a standby back, or set replication.synchronous_mode_strict: no and reload.',
  COMMITS_UNPROTECTED: 'Bring a standby back: until one streams there is one copy only.',
  PRIMARY_CLOSED: 'Bring the standbys that it names back.',
  FEW_ACKNOWLEDGERS: 'Bring the missing standby back.',
  WRITE_PATH_STALLED:
    'Look at the disk of that host (dmesg, iostat). If another member is healthy: a switchover.',
  DISK_FULL:
    'Make room on that disk: old logs, dead replication slots, archived WAL. Never delete files of pg_wal by hand.',
  NO_CONNECTION_SLOTS: 'End idle sessions, or lead applications through the pooled port 6432.',
  NODE_REMOVED: 'Ask another node: this one takes part in nothing.',
  INSTANCE_TROUBLE: 'The log of that node has the whole story.',
}
