import type { NodeFacts } from '#client'
import { enumerated } from '../../std/quantity-text.ts'
import { error, note, ok, type Check, type Judgement } from '../diagnosis.ts'

export const access: Check<NodeFacts> = {
  name: 'access',
  about:
    'this member may stream from every other one, tried by a connection for replication; pg_hba.conf has no errors',
  judge: ({ peers, database, setup }) => {
    const found: Judgement[] = (database?.accessErrors ?? []).map((line) =>
      error(
        'HBA_ERROR',
        `pg_hba.conf has a line that PostgreSQL does not take: ${line}`,
        'Correct postgresql.pg_hba, then: systemctl reload pg-metako',
      ),
    )
    const accepted = peers.filter(({ replication }) => replication === 'accepted').map(({ name }) => name)
    for (const { name, replication, replicationTrouble = 'no reason given' } of peers) {
      if (replication !== 'refused') continue
      found.push(
        error(
          'REPLICATION_REFUSED',
          `it could not stream from ${name}, if that were the primary: ${replicationTrouble}`,
          fixOf(replicationTrouble, name),
        ),
      )
    }
    if (accepted.length > 0)
      found.push(ok('REPLICATION_ACCEPTED', `${enumerated(accepted)} would let this member stream`))
    if (setup.isSecretDerived)
      found.push(
        note(
          'SECRET_DERIVED',
          'the cluster secret is derived from the database password: who knows that one is taken for a member',
          'Set security.cluster_secret_file on all nodes, to the same random text',
        ),
      )
    return found
  },
}

function fixOf(trouble: string, name: string): string {
  if (/pg_hba\.conf/.test(trouble))
    return `Let the role of replication in: on ${name} see postgresql.pg_hba, where a line before pg-metako's own, or a hand-written pg_hba.conf, refuses it`
  if (/password/.test(trouble))
    return `replication.password differs, or the role's was changed: set the same on all nodes, and on the primary ALTER ROLE … PASSWORD`
  if (/too many|max_wal_senders/.test(trouble)) return 'Raise max_wal_senders on all nodes'
  return `Let this host reach the port of PostgreSQL on ${name}: address, firewall, postgresql.listen_addresses`
}
