import type { DatabaseFacts, NodeFacts } from '#client'
import { error, note, ok, warning, type Check, type ClusterFacts, type Judgement } from '../diagnosis.ts'

/** A standby that has less than its primary of these does not start, or stops replay (PostgreSQL: "Hot Standby"). */
const INHERITED = [
  'max_connections',
  'max_worker_processes',
  'max_wal_senders',
  'max_prepared_transactions',
  'max_locks_per_transaction',
] as const

/** Beside one for each other member: a clone or a rewind of one, and a backup. */
const SENDERS_TO_SPARE = 2

export const settings: Check<NodeFacts> = {
  name: 'settings',
  about: 'what replication, rewind and durability need of the settings',
  judge: ({ database, setup }) => {
    if (!database) return []
    const found = [
      ...durability(database),
      ...replication(database, setup.members),
      ...retention(database, setup.useSlots),
    ]
    const isWell = found.every(({ severity }) => severity === 'note')
    return isWell ? [...found, ok('SETTINGS', 'durability, replication and rewind are set up')] : found
  },
}

const how = (name: string, value: string) =>
  `Set postgresql.parameters.${name}: ${value} in the configuration of every node`

function durability({ settings: set }: DatabaseFacts): readonly Judgement[] {
  const found: Judgement[] = []
  for (const name of ['fsync', 'full_page_writes'] as const) {
    if (set[name] === 'off')
      found.push(
        error(
          'NOT_DURABLE',
          `${name} is off: a crash of the host destroys acknowledged data`,
          how(name, 'on'),
        ),
      )
  }
  if (set['synchronous_commit'] === 'off')
    found.push(
      warning(
        'COMMITS_NOT_FLUSHED',
        'synchronous_commit is off: a commit is acknowledged before it is on any disk',
        how('synchronous_commit', 'on'),
      ),
    )
  if (set['wal_log_hints'] === 'off' && set['data_checksums'] === 'off')
    found.push(
      warning(
        'CANNOT_REWIND',
        'neither data checksums nor wal_log_hints are on: an old primary can only be cloned anew',
        how('wal_log_hints', 'on'),
      ),
    )
  if (set['data_checksums'] === 'off')
    found.push(
      note(
        'NO_CHECKSUMS',
        'data checksums are off: a disk that returns wrong bytes is not noticed',
        'With PostgreSQL stopped on one standby after the other: pg_checksums --enable -D DATA_DIR',
      ),
    )
  return found
}

function replication({ settings: set }: DatabaseFacts, members: number): readonly Judgement[] {
  const found: Judgement[] = []
  if (set['wal_level'] === 'minimal')
    found.push(
      error('WAL_LEVEL', 'wal_level is minimal: standbys cannot follow', how('wal_level', 'replica')),
    )
  const wanted = { max_wal_senders: members - 1 + SENDERS_TO_SPARE, max_replication_slots: members - 1 }
  for (const [name, least] of Object.entries(wanted)) {
    const has = Number(set[name] ?? Number.NaN)
    if (has < least)
      found.push(
        error(
          'TOO_FEW_SENDERS',
          `${name} is ${has}, and ${members} members need ${least}`,
          `${how(name, String(least + 4))}, then: pg-metako restart`,
        ),
      )
  }
  return found
}

function retention({ settings: set }: DatabaseFacts, useSlots: boolean): readonly Judgement[] {
  // In pg_settings both are in megabytes.
  const keep = Number(set['wal_keep_size'] ?? 0)
  if (useSlots && set['max_slot_wal_keep_size'] === '-1')
    return [
      warning(
        'SLOTS_UNBOUNDED',
        'max_slot_wal_keep_size is -1: the slot of a member that stays away fills the disk of the primary',
        how('max_slot_wal_keep_size', '8GB'),
      ),
    ]
  if (!useSlots && keep === 0)
    return [
      warning(
        'NO_WAL_KEPT',
        'there are no slots and wal_keep_size is 0: a standby that is away for a moment has to be cloned',
        'Set replication.use_slots: true, or postgresql.parameters.wal_keep_size: 1GB',
      ),
    ]
  return []
}

export const restart: Check<NodeFacts> = {
  name: 'restart',
  about: 'no parameter waits for a restart',
  judge: ({ node, database }) => {
    const waiting = database?.pendingRestart ?? []
    if (waiting.length === 0) return []
    return [
      warning(
        'PENDING_RESTART',
        `the new value of ${waiting.join(', ')} waits until PostgreSQL is restarted`,
        `pg-metako restart ${node}`,
      ),
    ]
  },
}

export const inheritedSettings: Check<ClusterFacts> = {
  name: 'inherited-settings',
  about: 'no standby has less than the primary of what it needs to replay its WAL',
  judge: ({ nodes }) => {
    const primary = nodes.find(({ database }) => database?.role === 'primary')
    if (!primary?.database) return []
    const wanted = primary.database.settings
    return nodes.flatMap(({ node, database }) =>
      database?.role === 'standby'
        ? INHERITED.filter((name) => Number(database.settings[name]) < Number(wanted[name])).map((name) => ({
            ...error(
              'STANDBY_HAS_LESS',
              `${name} is ${database.settings[name]} on ${node} and ${wanted[name]} on the primary ${primary.node}: its replay will stop`,
              `Set postgresql.parameters.${name} on ${node} to at least ${wanted[name]}, then: pg-metako restart ${node}`,
            ),
            member: node,
          }))
        : [],
    )
  },
}
