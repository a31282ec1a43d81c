import { formatProblems } from '../../../src/config/format-problems.ts'
import { loadConfig } from '../../../src/config/load-config.ts'
import type { NodeConfig } from '../../../src/config/node-config.ts'
import type { ProfileName } from '../../../src/ha/policy.ts'
import type { MemberTags } from '../../../src/model/member-tags.ts'
import type { AckShape, WatchdogShape } from './cluster-shape.ts'

export type ClusterShape = {
  readonly members: readonly string[]
  readonly profile: ProfileName
  readonly mode: AckShape
  readonly maximumLagBytes: number
  readonly primaryStartTimeoutMs: number
  readonly storeGraceMs: number
  readonly watchdogMode: WatchdogShape['mode']
  readonly tags: MemberTags
  readonly witness?: string | undefined
}

const made = new Map<string, NodeConfig>()

/** The configuration of one node, as the real loader reads it from a file that an operator could have written. */
export function simNodeConfig(self: string, shape: ClusterShape): NodeConfig {
  const key = JSON.stringify([self, shape])
  const known = made.get(key)
  if (known !== undefined) return known
  const path = '/etc/pg-metako/node.yaml'
  const text = yamlOf(self, shape)
  const loaded = loadConfig({
    path,
    readText: (file) => (file === path ? text : undefined),
    env: {},
    fileExists: () => true,
    cwd: '/',
  })
  if (loaded.kind === 'refused') {
    throw new Error(
      `The simulator's own configuration is refused:\n${formatProblems(loaded.problems, loaded.sources)}`,
    )
  }
  made.set(key, loaded.config)
  return loaded.config
}

export const API_PORT = 8008

/** Hosts have one address each and the usual ports. */
export function addressOf(member: string): string {
  return `10.0.0.${member.charCodeAt(member.length - 1) - '0'.charCodeAt(0)}`
}

function yamlOf(self: string, shape: ClusterShape): string {
  const [mode, strict] = shape.mode.split(' ')
  const peers = shape.members.filter((name) => name !== self)
  return [
    'identity:',
    `  node_name: ${self}`,
    `  advertise_host: ${addressOf(self)}`,
    `  api_port: ${API_PORT}`,
    'cluster: { scope: sim }',
    `local_db: { host: 127.0.0.1, port: 5432, username: postgres, password: secret${self === shape.witness ? ', role: witness' : ''} }`,
    'cluster_members:',
    ...(peers.length === 0 ? ['  []'] : []),
    ...peers.map((name) => {
      const role = name === shape.witness ? ', role: witness' : ''
      return `  - { node_name: ${name}, api_host: ${addressOf(name)}, api_port: ${API_PORT}${role} }`
    }),
    'security: { cluster_secret: "not a secret: nothing leaves this process" }',
    'postgresql: { data_dir: /var/lib/pg-metako/data }',
    `replication: { maximum_lag_on_failover: ${shape.maximumLagBytes}, mode: ${mode}, synchronous_mode_strict: ${strict === 'strict' ? 'yes' : 'no'} }`,
    `ha: { profile: ${shape.profile}, primary_start_timeout: ${shape.primaryStartTimeoutMs}ms, store_grace: ${shape.storeGraceMs}ms }`,
    `watchdog: { mode: ${shape.watchdogMode} }`,
    `tags: ${JSON.stringify(shape.tags)}`,
    '',
  ].join('\n')
}
