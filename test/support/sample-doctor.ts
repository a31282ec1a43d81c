import type { DatabaseFacts, DoctorDocument, NodeFacts } from '#client'
import { diagnoseNode } from '../../src/doctor/diagnose.ts'
import { sampleMember } from './sample-view.ts'

const GB = 1024 ** 3

/** A standby with which nothing is wrong, on a host with room and quick disks. Change what the test is about. */
export function sampleFacts(node: string, changes: Partial<NodeFacts> = {}): NodeFacts {
  return {
    node,
    takenAt: '2026-05-04T03:02:01.000Z',
    software: { agent: '0.1.0', runtime: '20.19.5' },
    host: {
      disks: [
        { holds: ['state', 'data', 'WAL'], folder: '/var/lib/pg', freeBytes: 40 * GB, totalBytes: 100 * GB },
      ],
      flush: { medianMs: 0.8, worstMs: 3, times: 20 },
      files: [
        { process: 'agent', open: 40, max: 65_536 },
        { process: 'router', open: 60, max: 65_536 },
      ],
      certificates: [],
    },
    member: sampleMember(node, { instance: { streaming: true } }).facts,
    setup: {
      members: 3,
      useSlots: true,
      mode: 'managed',
      isApiTls: true,
      isSecretDerived: false,
      clientConnectionsMax: 1000,
    },
    database: sampleDatabase(),
    peers: ['n1', 'n2', 'n3']
      .filter((name) => name !== node)
      .map((name) => ({ name, api: `${name}:8008`, roundTripMs: 0.3, replication: 'accepted' })),
    ...changes,
  }
}

export function sampleDatabase(changes: Partial<DatabaseFacts> = {}): DatabaseFacts {
  return {
    role: 'standby',
    version: 180004,
    pendingRestart: [],
    accessErrors: [],
    slots: [],
    oldestXidAge: 5000,
    preparedTransactions: 0,
    ...changes,
    settings: {
      archive_mode: 'off',
      data_checksums: 'on',
      fsync: 'on',
      full_page_writes: 'on',
      max_connections: '100',
      max_locks_per_transaction: '64',
      max_prepared_transactions: '0',
      max_replication_slots: '10',
      max_slot_wal_keep_size: '8192',
      max_wal_senders: '10',
      max_worker_processes: '8',
      synchronous_commit: 'on',
      wal_keep_size: '128',
      wal_level: 'replica',
      wal_log_hints: 'on',
      ...changes.settings,
    },
  }
}

export function sampleDoctor(node: string, changes: Partial<NodeFacts> = {}): DoctorDocument {
  const facts = sampleFacts(node, changes)
  return { facts, diagnoses: diagnoseNode(facts) }
}
