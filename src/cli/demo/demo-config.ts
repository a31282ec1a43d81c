import { DEMO_APPLICATION, DEMO_HOST, DEMO_SCOPE, type DemoNode } from './demo-layout.ts'

/** Paths of the files that hold the demo's secrets; the config files name them and hold none. */
export type DemoSecretFiles = {
  readonly superuserPassword: string
  readonly appPassword: string
  readonly clusterSecret: string
  readonly apiToken: string
}

/** The config file of one node, as a person would write it: `pg-metako --config` on it gives the same node. */
export function configText(
  node: DemoNode,
  cluster: { readonly nodes: readonly DemoNode[]; readonly secrets: DemoSecretFiles },
): string {
  const { secrets, nodes } = cluster
  const role = (one: DemoNode) => (one === nodes[0] ? 'primary' : 'standby')
  return `# Written by "pg-metako demo" at each of its starts. By hand: pg-metako --config ${node.configFile}
cluster:
  scope: ${DEMO_SCOPE}

identity:
  node_name: ${node.name}
  api_host: ${DEMO_HOST}
  api_port: ${node.ports.api}

local_db:
  host: ${DEMO_HOST}
  port: ${node.ports.postgres}
  role: ${role(node)}
  username: postgres
  password_file: ${quoted(secrets.superuserPassword)}
  database: postgres

cluster_members:
${nodes.map((one) => memberEntry(one, role(one))).join('\n')}

security:
  cluster_secret_file: ${quoted(secrets.clusterSecret)}
  api_token_file: ${quoted(secrets.apiToken)}

postgresql:
  data_dir: ${quoted(node.dataDir)}
  listen_addresses: [${DEMO_HOST}]

bootstrap:
  users:
    - name: ${DEMO_APPLICATION.user}
      password_file: ${quoted(secrets.appPassword)}
  databases:
    - name: ${DEMO_APPLICATION.database}
      owner: ${DEMO_APPLICATION.user}

ha:
  profile: lan

router:
  listen_host: ${DEMO_HOST}
  primary_port: ${node.ports.primary}
  replica_port: ${node.ports.replica}
  pooled_port: ${node.ports.pooled}

logging:
  level: info

paths:
  state_dir: ${quoted(node.stateDir)}
  run_dir: ${quoted(node.runDir)}
`
}

function memberEntry(node: DemoNode, role: string): string {
  return `  - node_name: ${node.name}\n    api_host: ${DEMO_HOST}\n    api_port: ${node.ports.api}\n    role: ${role}`
}

/** A JSON string is a YAML string, whatever the path holds. */
function quoted(text: string): string {
  return JSON.stringify(text)
}
