import { enumerated } from '../../std/quantity-text.ts'
import { error, note, ok, warning, type Check } from '../diagnosis.ts'

/** What can be seen of a node before its agent runs. */
export type PlanFacts = {
  readonly ports: readonly { readonly of: string; readonly port: number; readonly isTaken: boolean }[]
  readonly dataDir?: {
    readonly folder: string
    readonly holds: 'nothing' | 'an instance' | 'other files' | 'what may not be seen'
  }
  readonly programs?: { readonly folder: string; readonly version?: string; readonly trouble?: string }
  readonly peers: readonly { readonly name: string; readonly api: string; readonly isThere: boolean }[]
  readonly problems: readonly ConfigProblem[]
}

/** As the loader of configurations tells it. */
export type ConfigProblem = {
  readonly severity: 'error' | 'warning'
  readonly place: string
  readonly what: string
  readonly remedy: string
}

export const configuration: Check<PlanFacts> = {
  name: 'configuration',
  about: 'the configuration is valid; every problem with its line (with --config)',
  judge: ({ problems }) =>
    problems.length === 0
      ? [ok('CONFIG_VALID', 'the configuration is valid')]
      : problems.map(({ severity, place, what, remedy }) =>
          severity === 'error'
            ? error('CONFIG_INVALID', `${place}: ${what}`, remedy)
            : warning('CONFIG_DOUBTFUL', `${place}: ${what}`, remedy),
        ),
}

export const ports: Check<PlanFacts> = {
  name: 'ports',
  about: 'the ports of API, routers and PostgreSQL are free (with --config, before the agent runs)',
  judge: (facts) => {
    const taken = facts.ports.filter(({ isTaken }) => isTaken)
    return taken.length === 0
      ? [ok('PORTS_FREE', `free: ${facts.ports.map(({ of, port }) => `${port} (${of})`).join(', ')}`)]
      : taken.map(({ of, port }) =>
          warning(
            'PORT_TAKEN',
            `something listens on port ${port} already, where ${of} should`,
            `See who: ss -ltnp 'sport = :${port}'. A router or PostgreSQL that outlived its agent is adopted by the next one`,
          ),
        )
  },
}

export const dataFolder: Check<PlanFacts> = {
  name: 'data-folder',
  about: 'the data directory is empty or an instance (with --config, before the agent runs)',
  judge: ({ dataDir }) => {
    if (!dataDir)
      return [
        note(
          'ATTACHED',
          'postgresql.data_dir is not set: the agent would only watch a PostgreSQL that somebody else runs',
        ),
      ]
    const { folder, holds } = dataDir
    return holds === 'other files'
      ? [
          error(
            'FOREIGN_FILES',
            `${folder} holds files that are no PostgreSQL instance: the agent will not touch them`,
            `Move them away: mv ${folder} ${folder}.old`,
          ),
        ]
      : [ok('DATA_FOLDER', `${folder} holds ${holds}`)]
  },
}

export const programs: Check<PlanFacts> = {
  name: 'programs',
  about: "PostgreSQL's programs are where postgresql.bin_dir says (with --config, before the agent runs)",
  judge: ({ programs: found }) => {
    if (!found)
      return [
        note('PROGRAMS_SEARCHED', 'postgresql.bin_dir is not set: the agent looks for PostgreSQL itself'),
      ]
    const { folder, version, trouble = 'nothing is there' } = found
    return version === undefined
      ? [
          error(
            'PROGRAMS_MISSING',
            `no PostgreSQL in ${folder}: ${trouble}`,
            'Install it, or correct postgresql.bin_dir',
          ),
        ]
      : [ok('PROGRAMS', `${version} in ${folder}`)]
  },
}

export const others: Check<PlanFacts> = {
  name: 'others',
  about: 'which other agents answer already (with --config, before the agent runs)',
  judge: ({ peers }) => {
    if (peers.length === 0) return []
    const there = peers.filter(({ isThere }) => isThere).map(({ name }) => name)
    const away = peers.filter(({ isThere }) => !isThere).map(({ name, api }) => `${name} at ${api}`)
    return away.length === 0
      ? [ok('OTHERS_ANSWER', `${enumerated(there)} answer`)]
      : [
          note(
            'OTHERS_SILENT',
            `nobody listens yet: ${enumerated(away)}`,
            'A new cluster begins when all of them run; where one runs already, see routes, firewall and identity.api_host',
          ),
        ]
  },
}
