import type { NodeFacts } from '#client'
import { enumerated } from '../../std/quantity-text.ts'
import { error, note, ok, warning, type Check, type ClusterFacts } from '../diagnosis.ts'

const RUNTIME_FLOOR = [20, 19] as const
/** What the tests run with; older ones are no longer mended by PostgreSQL's own project. */
const POSTGRES_OLDEST = 14

export const runtime: Check<NodeFacts> = {
  name: 'runtime',
  about: 'Node.js is 20.19 or later',
  judge: ({ software }) => {
    const [major = 0, minor = 0] = software.runtime.split('.').map(Number)
    const isOld = major < RUNTIME_FLOOR[0] || (major === RUNTIME_FLOOR[0] && minor < RUNTIME_FLOOR[1])
    return isOld
      ? [
          error(
            'RUNTIME_TOO_OLD',
            `Node.js is ${software.runtime}, ${RUNTIME_FLOOR.join('.')} is the oldest that is supported`,
            'Install a newer Node.js and restart the agent: systemctl restart pg-metako',
          ),
        ]
      : [ok('RUNTIME', `Node.js ${software.runtime}, pg-metako ${software.agent}`)]
  },
}

export const releases: Check<ClusterFacts> = {
  name: 'releases',
  about: 'all members run one release of pg-metako, and one version of PostgreSQL',
  judge: ({ nodes, view }) => [
    ...agentReleases(nodes),
    ...postgresVersions(
      view.members.flatMap(({ facts: { name, instance } }) =>
        instance.serverVersion === undefined ? [] : [{ name, version: instance.serverVersion }],
      ),
    ),
  ],
}

function agentReleases(nodes: readonly NodeFacts[]): ReturnType<typeof releases.judge> {
  const by = grouped(nodes.map(({ node, software }) => ({ name: node, value: software.agent })))
  if (by.size < 2)
    return nodes.length > 1 ? [ok('RELEASES_EQUAL', `all run pg-metako ${[...by.keys()][0]}`)] : []
  const newest = [...by.keys()].toSorted(byNumbers).at(-1)
  return [
    warning(
      'RELEASES_DIFFER',
      `members run different releases: ${described(by)}`,
      `Install pg-metako ${newest} everywhere; a rolling upgrade is for hours, not for ever`,
    ),
  ]
}

function postgresVersions(
  members: readonly { readonly name: string; readonly version: number }[],
): ReturnType<typeof releases.judge> {
  const majors = grouped(members.map(({ name, version }) => ({ name, value: String(majorOf(version)) })))
  if (majors.size > 1) {
    return [
      error(
        'POSTGRES_MAJORS_DIFFER',
        `PostgreSQL differs in its major version, so these cannot replicate: ${described(majors)}`,
        'Point postgresql.bin_dir of all members at the same major version',
      ),
    ]
  }
  const [major] = majors.keys()
  if (major !== undefined && Number(major) < POSTGRES_OLDEST) {
    return [
      warning(
        'POSTGRES_TOO_OLD',
        `PostgreSQL ${major} is older than any that pg-metako is tested with (15 and 18)`,
        'Move to a newer major version with pg_upgrade or by a dump',
      ),
    ]
  }
  const minors = grouped(members.map(({ name, version }) => ({ name, value: versionText(version) })))
  if (minors.size > 1) {
    return [
      note(
        'POSTGRES_MINORS_DIFFER',
        `members run different minor versions of PostgreSQL: ${described(minors)}`,
        'Update the others too: standbys first, then switch over',
      ),
    ]
  }
  return major === undefined
    ? []
    : [ok('POSTGRES_VERSION', `PostgreSQL is ${[...minors.keys()][0]} everywhere`)]
}

/** `18.4` from `180004`. */
function versionText(version: number): string {
  return `${majorOf(version)}.${version % 10_000}`
}

function majorOf(version: number): number {
  return Math.floor(version / 10_000)
}

function grouped(
  pairs: readonly { readonly name: string; readonly value: string }[],
): ReadonlyMap<string, readonly string[]> {
  const by = new Map<string, string[]>()
  for (const { name, value } of pairs) by.set(value, [...(by.get(value) ?? []), name])
  return by
}

function described(by: ReadonlyMap<string, readonly string[]>): string {
  return [...by].map(([value, names]) => `${value} on ${enumerated(names)}`).join(', ')
}

function byNumbers(one: string, other: string): number {
  return one.localeCompare(other, 'en', { numeric: true })
}
