import { type ForeignForm, keyPlaceAt, textAt, textsAt, treeAt } from './tree-lookup.ts'
import { roleHint } from './value-kinds.ts'
import { PASSWORD_FILE, yamlScalar } from './yaml-text.ts'
import type { MapTree, Tree } from './yaml-tree.ts'

const API_PORT = 8008
/** Sections that had the same keys then as now. */
const KEPT_SECTIONS: readonly string[] = ['health_check', 'load_balancer']

/** The older form: one program that managed all databases, listed under `nodes`. Undefined for anything else. */
export function recogniseNodesForm(tree: MapTree): ForeignForm | undefined {
  const nodes = treeAt(tree, 'nodes')
  if (nodes?.kind !== 'list' || tree.entries.has('identity') || tree.entries.has('cluster_members'))
    return undefined
  return {
    place: keyPlaceAt(tree, 'nodes'),
    key: 'nodes',
    rule: 'this is the older form, in which one program managed all databases; today one pg-metako runs beside each of them',
    remedy: `write the config below on every node; only identity.node_name differs. Put the database password into the file ${PASSWORD_FILE} beside it`,
    replacement: translated(tree, nodes.items),
  }
}

function translated(tree: MapTree, nodes: readonly Tree[]): string {
  const first = nodes[0]
  const lines = [
    'identity:',
    `  node_name: ${scalarOf(first, 'name', 'node1')}   # the only line that differs from node to node`,
    'local_db:',
    `  host: localhost   # pg-metako runs on the same host as its PostgreSQL`,
    `  port: ${scalarOf(first, 'port', '5432')}`,
    `  username: ${scalarOf(first, 'username', 'postgres')}`,
    `  password_file: ${PASSWORD_FILE}   # a file with the password alone in it`,
    `  database: ${scalarOf(first, 'database', 'postgres')}`,
    'cluster_members:',
    ...members(nodes),
  ]
  for (const section of KEPT_SECTIONS) {
    const texts = textsAt(tree, section)
    if (texts.length === 0) continue
    lines.push(`${section}:`, ...texts.map(([name, text]) => `  ${name}: ${yamlScalar(text)}`))
  }
  if (textAt(tree, 'security', 'tls_enabled') === 'true') {
    lines.push(
      'security:',
      ...textsAt(tree, 'security').map(([name, text]) => `  ${name}: ${yamlScalar(text)}`),
    )
  }
  return `${lines.join('\n')}\n`
}

function members(nodes: readonly Tree[]): readonly string[] {
  const onHost = new Map<string, number>()
  return nodes.flatMap((node, index) => {
    const host = textAt(node, 'host') ?? `node${index + 1}`
    const before = onHost.get(host) ?? 0
    onHost.set(host, before + 1)
    const role = roleHint.read(textAt(node, 'role') ?? '')
    return [
      `  - node_name: ${scalarOf(node, 'name', `node${index + 1}`)}`,
      `    api_host: ${yamlScalar(host)}`,
      `    api_port: ${API_PORT + before}`,
      `    role: ${role.kind === 'value' ? role.value : 'standby'}`,
    ]
  })
}

function scalarOf(node: Tree | undefined, name: string, otherwise: string): string {
  return yamlScalar(textAt(node, name) ?? otherwise)
}
