import { existsSync, readFileSync, writeFileSync } from '../../platform/disk.ts'
import { packageVersion } from '../../platform/package-version.ts'
import { isAlive, type ProcessIdentity } from '../../platform/process-table.ts'
import { bootId } from '../../platform/process.ts'
import { present } from '../../std/assert.ts'
import { Fault } from '../../std/fault.ts'
import { refuseBusyPorts } from './busy-ports.ts'
import { configText } from './demo-config.ts'
import { chooseFolders, makeNodeFolders } from './demo-folders.ts'
import { connectionsOf, demoNodes, DEMO_SCOPE, NODE_COUNT_DEFAULT, type DemoNode } from './demo-layout.ts'
import { ensureSecrets, readSecret, secretFiles } from './demo-secrets.ts'
import { readDemoState, supervisorOf, writeDemoState, type DemoState } from './demo-state.ts'
import { pidsOf, processesOf } from './node-processes.ts'
import { removeDemo } from './remove-demo.ts'
import { stopNodes } from './stop-nodes.ts'
import type { DemoPlan } from './supervisor.ts'

export type DemoOptions = {
  readonly folder: string
  /** Absent: as many as there are, else three. */
  readonly nodes?: number
  readonly portBase: number
  readonly fresh: boolean
}

export type PreparedDemo = {
  readonly plan: DemoPlan
  /** Agents of an earlier demo that go on, by node name. */
  readonly running: ReadonlyMap<string, number>
}

/**
 * Brings the folder into the state that the supervisor starts from: files written, ports free, and of an earlier demo either
 * nothing running or agents that run exactly what this demo would start.
 */
export async function prepareDemo(options: DemoOptions, hurry: AbortSignal): Promise<PreparedDemo> {
  const { databaseUser, ...folders } = chooseFolders(options.folder)
  const earlier = readDemoState(folders.root)
  refuseSecondDemo(folders.root, earlier)
  const kept = options.fresh ? undefined : earlier
  const nodes = withKeptData(
    demoNodes({ count: nodeCount(options, kept), portBase: options.portBase, folders }),
    kept,
  )
  const files = secretFiles(folders.root)
  const configs = new Map(nodes.map((node) => [node, configText(node, { nodes, secrets: files })]))
  const running = adoptable(kept, configs)
  const everyNode = [...(earlier?.nodes ?? []), ...nodes]
  // Order: a busy port is found before anything is stopped or removed.
  const ours = new Set(everyNode.flatMap((node) => pidsOf(processesOf(node))))
  await refuseBusyPorts(nodes, { portBase: options.portBase, ours })
  if (kept) await stopStrangers({ old: kept.nodes, running, hurry })
  else {
    // Also where nobody asked for it: without its folder, the data of an earlier demo has lost its passwords.
    await stopNodes(everyNode, hurry)
    removeDemo(folders.root)
  }

  const outside = [folders.dataRoot, folders.runRoot].filter((path) => path !== folders.root)
  const withoutConnections = {
    root: folders.root,
    portBase: options.portBase,
    nodes,
    tokenFile: files.apiToken,
    outside,
  }
  const first = present(nodes[0], 'first node')
  // Order: the state first; a folder without it counts as somebody else's.
  markAsOurs({ ...withoutConnections, connections: connectionsOf(first, '') }, kept)
  ensureSecrets(folders.root)
  for (const [node, text] of configs) {
    makeNodeFolders(node, folders, databaseUser)
    if (!isWritten(node, text)) writeFileSync(node.configFile, text, { mode: 0o644 })
  }
  const connections = connectionsOf(first, readSecret(files.appPassword))
  return { plan: { ...withoutConnections, connections }, running }
}

function refuseSecondDemo(root: string, state: DemoState | undefined): void {
  const supervisor = supervisorOf(state)
  if (!supervisor) return
  throw new Fault(
    'DEMO_RUNNING',
    `Cannot start the demo: it already runs in "${root}" (process ${supervisor.pid}); "pg-metako demo stop" ends it`,
    { details: { pid: supervisor.pid } },
  )
}

/** The data knows its members: a demo cannot grow or shrink by being started differently. */
function nodeCount(options: DemoOptions, kept: DemoState | undefined): number {
  const hasData = kept?.nodes.some((node) => existsSync(node.dataDir)) ?? false
  if (!kept || !hasData) return options.nodes ?? kept?.nodes.length ?? NODE_COUNT_DEFAULT
  if (options.nodes === undefined || options.nodes === kept.nodes.length) return kept.nodes.length
  throw new Fault(
    'DEMO_NODES_CHANGED',
    `Cannot start ${options.nodes} nodes: the data here is of ${kept.nodes.length}; leave --nodes out, or begin anew with --fresh`,
  )
}

/** Agents that run just what we would start: same version, same boot, same config. */
function adoptable(
  kept: DemoState | undefined,
  configs: ReadonlyMap<DemoNode, string>,
): ReadonlyMap<string, number> {
  if (!kept || kept.bootId !== bootId() || kept.version !== packageVersion()) return new Map()
  return new Map(
    [...configs].flatMap(([node, text]) => {
      const agent = kept.nodes.find(({ name }) => name === node.name)?.agent
      if (!agent || !isAlive(agent)) return []
      return isWritten(node, text) ? [[node.name, agent.pid] as const] : []
    }),
  )
}

function isWritten(node: DemoNode, text: string): boolean {
  return existsSync(node.configFile) && readFileSync(node.configFile, 'utf8') === text
}

/** Data stays where it is, also when rights have changed since and it would be put elsewhere today. */
function withKeptData(nodes: readonly DemoNode[], kept: DemoState | undefined): readonly DemoNode[] {
  return nodes.map((node) => {
    const dataDir = kept?.nodes.find(({ name }) => name === node.name)?.dataDir
    return dataDir !== undefined && existsSync(dataDir) ? { ...node, dataDir } : node
  })
}

/** Ends the nodes whose agent cannot be adopted. What a dead agent left running stays: the next agent adopts it. */
async function stopStrangers(options: {
  old: readonly DemoNode[]
  running: ReadonlyMap<string, number>
  hurry: AbortSignal
}): Promise<void> {
  const { old, running, hurry } = options
  const toStop = old.filter((node) =>
    processesOf(node).agents.some(({ pid }) => running.get(node.name) !== pid),
  )
  if (toStop.length > 0) await stopNodes(toStop, hurry)
}

function markAsOurs(plan: DemoPlan, kept: DemoState | undefined): void {
  const { root, connections, nodes, portBase, tokenFile, outside } = plan
  writeDemoState(root, {
    version: packageVersion(),
    scope: DEMO_SCOPE,
    startedAt: kept?.startedAt ?? '',
    bootId: bootId(),
    ...connections,
    api: present(nodes[0], 'first node').api,
    tokenFile,
    portBase,
    outside,
    nodes: nodes.map((node) => ({ ...node, pids: {}, ...agentOf(kept, node) })),
  })
}

function agentOf(kept: DemoState | undefined, node: DemoNode): { agent?: ProcessIdentity } {
  const agent = kept?.nodes.find(({ name }) => name === node.name)?.agent
  return agent ? { agent } : {}
}
