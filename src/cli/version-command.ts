import type { ClusterView } from '#client'
import { packageVersion } from '../platform/package-version.ts'
import type { Report } from './report.ts'

/** `pg-metako version 0.1.0`: what `--version` prints. */
export function versionLine(): string {
  return `pg-metako version ${packageVersion()}`
}

/** This program's version, and what runs on every member. */
export function versionReport(view: ClusterView | undefined): Report {
  const members = (view?.members ?? []).map(({ facts }) => ({
    member: facts.name,
    agent: facts.version,
    postgresql:
      facts.instance.serverVersion === undefined ? '' : postgresVersion(facts.instance.serverVersion),
  }))
  return {
    data: { version: packageVersion(), members },
    table: {
      title: versionLine(),
      columns: [{ title: 'Member' }, { title: 'pg-metako' }, { title: 'PostgreSQL' }],
      rows: members.map(({ member, agent, postgresql }) => [member, agent, postgresql]),
    },
    footer: [],
    rows: [
      ['member', 'pg_metako', 'postgresql'],
      ...members.map(({ member, agent, postgresql }) => [member, agent, postgresql]),
    ],
  }
}

/** `18.4` from `180004`. */
function postgresVersion(number: number): string {
  return `${Math.floor(number / 10_000)}.${number % 10_000}`
}
