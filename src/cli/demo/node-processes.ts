import { basename, existsSync, join, readFileSync, realpathSync } from '../../platform/disk.ts'
import { argumentsOf, environmentOf, findProcesses } from '../../platform/process-table.ts'
import { processesIn, signalProcess, type ProcessStat } from '../../platform/process.ts'
import type { DemoNode } from './demo-layout.ts'

/** What runs of one node, found without asking anybody: also what a killed demo or agent left behind. */
export type NodeProcesses = {
  readonly agents: readonly ProcessStat[]
  readonly guards: readonly ProcessStat[]
  readonly routers: readonly ProcessStat[]
  /** Postmaster, its children and its orphans. */
  readonly instance: readonly ProcessStat[]
}

export function processesOf(node: DemoNode): NodeProcesses {
  return {
    agents: findProcesses(
      (argv) => isNode(argv) && argv.includes('--config') && argv.includes(node.configFile),
    ),
    guards: companionsOf(node, 'guard'),
    routers: companionsOf(node, 'router'),
    instance: instanceOf(node),
  }
}

/** Guard and router get their options through the environment: theirs name the node's folder for sockets. */
function companionsOf(node: DemoNode, command: 'guard' | 'router'): readonly ProcessStat[] {
  const folder = JSON.stringify(node.runDir).slice(1, -1)
  return findProcesses(
    (argv, { pid }) =>
      isNode(argv) &&
      argv[2] === command &&
      (environmentOf(pid, `PG_METAKO_${command.toUpperCase()}`)?.includes(`${folder}/`) ?? false),
  )
}

/** An editor that shows the config file is not ours: only Node running a script is. */
function isNode(argv: readonly string[]): boolean {
  return argv.length > 1 && basename(argv[0] ?? '').startsWith('node')
}

/** Someone's shell that stands in the data directory is not part of the instance. */
function instanceOf(node: DemoNode): readonly ProcessStat[] {
  if (!existsSync(node.dataDir)) return []
  return processesIn(realpathSync(node.dataDir)).filter((stat) => isPostgres(argumentsOf(stat.pid)))
}

/** Children rewrite their arguments to a title, in which the name of the cluster has a slash: `postgres: main/node1: walwriter`. */
export function isPostgres([title = '']: readonly string[]): boolean {
  return title.startsWith('postgres: ') || basename(title) === 'postgres'
}

/** The postmaster: named by its pid file and alive in the data directory. */
export function postmasterOf(node: DemoNode): ProcessStat | undefined {
  const file = join(node.dataDir, 'postmaster.pid')
  if (!existsSync(file)) return undefined
  const named = Number(readFileSync(file, 'utf8').split('\n')[0])
  return instanceOf(node).find((stat) => stat.pid === named)
}

/** All pids of a node. */
export function pidsOf(processes: NodeProcesses): readonly number[] {
  const { agents, guards, routers, instance } = processes
  return [...agents, ...guards, ...routers, ...instance].map(({ pid }) => pid)
}

/** Signals what is there; says how many there were. */
export function signalAll(processes: readonly ProcessStat[], signal: NodeJS.Signals): number {
  return processes.filter(({ pid }) => signalProcess(pid, signal)).length
}
