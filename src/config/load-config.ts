/**
 * The room `config`: text in, a validated `NodeConfig` or a list of problems with places out. It is pure: files and
 * the environment come in as arguments; it must never read the world itself, never let a secret into a problem, an
 * origin or a rendering, and never hand out half a config. Every problem is told at once, with line, column, rule
 * and remedy. Data flow: load-tree → read-settings → import-ini → derive-defaults → *-checks → to-node-config.
 */
import { checkBootstrap } from './bootstrap-checks.ts'
import { checkCluster } from './cluster-checks.ts'
import { deriveDefaults } from './derive-defaults.ts'
import { effectiveSettings, type EffectiveSetting } from './effective-settings.ts'
import { Environment } from './environment.ts'
import { checkEtcd } from './etcd-checks.ts'
import { environmentName } from './key.ts'
import { keyTable } from './keys/key-table.ts'
import { loadTree } from './load-tree.ts'
import { checkNode } from './node-checks.ts'
import type { NodeConfig } from './node-config.ts'
import { recogniseNodesForm } from './nodes-form.ts'
import { folderOf, resolvePath } from './path-text.ts'
import { derivePatroniDefaults } from './patroni/patroni-defaults.ts'
import { WHOLE_FILE } from './patroni/patroni-environment.ts'
import { isPatroniForm, readPatroniForm } from './patroni/patroni-form.ts'
import { importIni } from './pgbouncer/import-ini.ts'
import { type Problem, Problems } from './problem.ts'
import { readSettings } from './read-settings.ts'
import { checkRouterTls } from './router-tls-checks.ts'
import { checkSecrets } from './secret-checks.ts'
import type { Origin } from './settings.ts'
import { checkTimes } from './time-checks.ts'
import { toNodeConfig } from './to-node-config.ts'

/** What the world gives. `readText` and `fileExists` get paths as they follow from `path`; relative ones start at `cwd`. */
export type ConfigInput = {
  readonly path: string
  /** The file's text, or undefined when it cannot be read. */
  readonly readText: (path: string) => string | undefined
  /** Names in a folder; undefined for what is none. Absent: the path is a file. */
  readonly listFolder?: (path: string) => readonly string[] | undefined
  readonly env: Readonly<Record<string, string | undefined>>
  /** Absent: whether certificates and programs exist is not checked. */
  readonly fileExists?: (path: string) => boolean
  /** Working folder: makes relative paths absolute. */
  readonly cwd?: string
}

/** What is known about the files, whether the config is good or not. */
export type ConfigFiles = {
  /** Every file whose change can change the config: config files, includes, secret files, PgBouncer's. Watch these. */
  readonly files: readonly string[]
  /** Text of the config files, for showing lines of them. Holds secrets: only for `formatProblems`. */
  readonly sources: ReadonlyMap<string, string>
}

export type LoadedConfig =
  | ({
      readonly kind: 'ok'
      readonly config: NodeConfig
      /** Where every value comes from, by dotted key. */
      readonly origins: ReadonlyMap<string, Origin>
      /** Every key with its value as people write it; secrets are `(set)`. */
      readonly effective: readonly EffectiveSetting[]
      readonly warnings: readonly Problem[]
    } & ConfigFiles)
  | ({ readonly kind: 'refused'; readonly problems: readonly Problem[] } & ConfigFiles)

/** Reads, completes and checks a node's config. Never throws on anything that a file or variable can hold. */
export function loadConfig(input: ConfigInput): LoadedConfig {
  const problems = new Problems()
  const { path, env, listFolder } = input
  // A whole file of Patroni's in one variable takes the place of a file that is not there.
  const readText = (file: string): string | undefined =>
    input.readText(file) ?? (file === path ? env[WHOLE_FILE] || undefined : undefined)
  const { tree: written, files, sources } = loadTree(path, { readText, listFolder, problems })
  const namedFiles = new Set<string>()
  const known = (): ConfigFiles => ({ files: [...files, ...namedFiles], sources })
  if (written === undefined) return { kind: 'refused', problems: problems.all, ...known() }

  const foreign = recogniseNodesForm(written)
  if (foreign !== undefined) {
    problems.error(foreign.place, foreign.key, foreign)
    return { kind: 'refused', problems: problems.all, ...known() }
  }

  const isPatroni = isPatroniForm(written, env)
  const tree = isPatroni ? readPatroniForm(written, { env, problems }) : written
  const environment = new Environment(env)
  const folder = listFolder?.(path) ? path : folderOf(path)
  const readNamed = (path: string): string | undefined => {
    namedFiles.add(path)
    return input.readText(path)
  }
  const cwd = input.cwd === undefined ? {} : { cwd: input.cwd }
  const context = { problems, environment, folder, readSecret: readNamed, ...cwd }
  const settings = readSettings(tree, keyTable, context)
  const pgbouncer = importIni(settings, { ...context, readText: readNamed })
  environment.tellUnknown(problems, listVariables())
  if (isPatroni) derivePatroniDefaults(settings)
  deriveDefaults(settings, input.cwd === undefined ? folder : resolvePath(input.cwd, folder))
  checkCluster(settings, problems)
  checkEtcd(settings, problems, input.fileExists)
  checkTimes(settings, problems)
  checkNode(settings, problems, input.fileExists)
  checkRouterTls(settings, problems, input.fileExists)
  checkSecrets(settings, problems)
  checkBootstrap(settings, problems)

  if (problems.hasErrors) return { kind: 'refused', problems: problems.all, ...known() }
  const effective = effectiveSettings(settings)
  const origins = new Map(effective.map((setting) => [setting.key, setting.origin]))
  return {
    kind: 'ok',
    config: toNodeConfig(settings, pgbouncer),
    origins,
    effective,
    warnings: problems.all,
    ...known(),
  }
}

/** Variables that people may try, for keys that only a file can hold. */
function listVariables(): ReadonlySet<string> {
  const keys = [...keyTable.lists, ...keyTable.maps, ...keyTable.records]
  return new Set(keys.map((key) => environmentName(key.name)))
}
