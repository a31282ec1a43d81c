import { yamlText } from '../yaml-text.ts'
import { unitText } from './unit-text.ts'

/** Names of the files of one node, relative to its folder. */
export const NODE_FILE = 'node.yaml'
const COMMON_FILE = 'common.yaml'
export const UNIT_FILE = 'pg-metako.service'
const SECRETS = 'secrets'

export type PlannedNode = {
  readonly name: string
  readonly host: string
  readonly port: number
  /** It votes and has no database. */
  readonly isWitness?: true
}

/** What all nodes of a cluster share, as `init` begins it and as `join` learns it. */
export type ClusterPlan = {
  readonly scope: string
  /** Absent: the usual one. */
  readonly namespace?: string
  readonly nodes: readonly PlannedNode[]
  /** Who creates the cluster at the very first start; absent where it exists. */
  readonly initialiser?: string
  /** Sections of the config besides who the members are and what is secret, in the words of the config file. */
  readonly sections: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  readonly username: string
  readonly databasePort: number
  readonly dataDir: string
  readonly tls: boolean
}

/** Secrets by the name of their file. Which of them there are decides what the config names. */
export type PlannedSecrets = {
  readonly 'postgres-password': string
  readonly 'cluster-secret': string
  readonly 'api-token'?: string
  readonly 'replication-password'?: string
  readonly 'app-password'?: string
}

export type PlannedFile = { readonly path: string; readonly text: string; readonly mode: number }

/** The files of one node: the form of examples/three-hosts, with the secrets and the unit beside them. Pure. */
export function nodeFiles(
  node: PlannedNode,
  plan: ClusterPlan,
  about: { readonly secrets: PlannedSecrets; readonly configFolder: string },
): readonly PlannedFile[] {
  const { secrets, configFolder } = about
  const secretFiles = Object.entries(secrets).map(([name, secret]) => ({
    path: `${SECRETS}/${name}`,
    text: `${secret}\n`,
    mode: 0o600,
  }))
  return [
    { path: COMMON_FILE, text: commonText(plan, secrets), mode: 0o644 },
    { path: NODE_FILE, text: nodeText(node, configFolder), mode: 0o644 },
    { path: UNIT_FILE, text: unitText(`${configFolder}/${NODE_FILE}`, node.isWitness), mode: 0o644 },
    ...secretFiles,
  ]
}

function commonText(plan: ClusterPlan, secrets: PlannedSecrets): string {
  const role = ({ name, isWitness }: PlannedNode) =>
    isWitness ? 'witness' : name === plan.initialiser ? 'primary' : 'standby'
  const { bootstrap, security, postgresql, ...others } = plan.sections
  const tree = {
    cluster: { scope: plan.scope, ...(plan.namespace === undefined ? {} : { namespace: plan.namespace }) },
    cluster_members: plan.nodes.map((node) => ({
      node_name: node.name,
      api_host: node.host,
      api_port: node.port,
      role: role(node),
    })),
    local_db: {
      port: plan.databasePort,
      username: plan.username,
      password_file: `${SECRETS}/postgres-password`,
    },
    security: {
      cluster_secret_file: `${SECRETS}/cluster-secret`,
      ...(secrets['api-token'] === undefined ? {} : { api_token_file: `${SECRETS}/api-token` }),
      ...(plan.tls
        ? { tls_enabled: true, cert_file: 'tls/node.crt', key_file: 'tls/node.key', ca_file: 'tls/ca.crt' }
        : {}),
      ...security,
    },
    postgresql: { data_dir: plan.dataDir, ...postgresql },
    ...(bootstrap === undefined ? {} : { bootstrap }),
    ...withReplication(others, secrets),
  }
  return `# What all nodes share. Later changes of members are made with "pg-metako member": this list is the beginning only.\n${yamlText(tree)}`
}

function withReplication(
  sections: ClusterPlan['sections'],
  secrets: PlannedSecrets,
): Readonly<Record<string, unknown>> {
  if (secrets['replication-password'] === undefined) return sections
  return {
    ...sections,
    replication: { ...sections['replication'], password_file: `${SECRETS}/replication-password` },
  }
}

function nodeText(node: PlannedNode, configFolder: string): string {
  const tree = { include: COMMON_FILE, identity: { node_name: node.name } }
  return `# ${node.name}: pg-metako --config ${configFolder}/${NODE_FILE}\n${yamlText(tree)}`
}
