import { Argument, InvalidArgumentError, Option, type Command } from 'commander'
import { existsSync, join, readdirSync, realpathSync, resolve, rmdirSync } from '../../platform/disk.ts'
import { stdout, workingDirectory } from '../../platform/process.ts'
import { Fault } from '../../std/fault.ts'
import { SECOND } from '../../std/units.ts'
import { clearBinaryCache } from './clear-cache.ts'
import { FAULTS, makeFault, type FaultName } from './demo-faults.ts'
import { NODE_COUNTS, PORT_BASE_MAX } from './demo-layout.ts'
import { readDemoState, supervisorOf, type DemoState } from './demo-state.ts'
import { endDemo } from './end-demo.ts'
import { memberState } from './member-words.ts'
import { observeCluster } from './observe-cluster.ts'
import { removeDemo } from './remove-demo.ts'
import { runDemo } from './run-demo.ts'

/*
 * The demo: a supervisor for a few agents on this machine, and nothing else. It writes one config file per node, keeps the
 * agents running as systemd would, and shows what they say. It must never know or decide anything about the cluster: the
 * same files, started by hand, give the same cluster.
 */

const FOLDER = '.pg-metako'

type DemoFlags = {
  readonly nodes?: number
  readonly fresh?: boolean
  readonly portBase: number
}

/** Adds `demo` and its subcommands. */
export function registerDemo(program: Command): void {
  const demo = program
    .command('demo')
    .description('run a whole cluster on this machine, to look at and to break')
    .addOption(
      new Option('--nodes <count>', 'how many nodes (default: what the data is of, else 3)')
        .choices(NODE_COUNTS.map(String))
        .argParser(parseCount),
    )
    .option('--fresh', 'delete the data of an earlier demo first')
    .addOption(
      new Option('--port-base <number>', 'raise every port by this').argParser(parsePortBase).default(0),
    )
    .addOption(dataOption())
    .action((flags: DemoFlags, command: Command) =>
      runDemo({
        folder: folderOf(command),
        portBase: flags.portBase,
        fresh: flags.fresh ?? false,
        ...(flags.nodes === undefined ? {} : { nodes: flags.nodes }),
      }),
    )
  for (const [name, description, action] of [
    ['stop', 'stop the demo, also from elsewhere or after its supervisor died', stopDemo],
    ['clean', 'stop the demo and remove everything that it ever wrote', cleanDemo],
    ['status', 'show whether the demo runs, and where it listens', showStatus],
  ] as const) {
    demo
      .command(name)
      .description(description)
      .addOption(dataOption())
      .action((_: unknown, command: Command) => action(folderOf(command)))
  }
  demo
    .command('kill')
    .description('make a fault: kill -9 the primary, an agent, or all of a node')
    .addArgument(new Argument('<what>', 'what to kill').choices(FAULTS))
    .addArgument(
      new Argument('[number]', "number of the node; default: the primary's").argParser(parseNumber),
    )
    .addOption(dataOption())
    .action((...given: [FaultName, number | undefined, unknown, Command]) => {
      const [name, number, , command] = given
      return killSomething(folderOf(command), { name, ...(number === undefined ? {} : { number }) })
    })
}

function dataOption(): Option {
  return new Option('--data <folder>', 'where the demo keeps its files').default(FOLDER)
}

/** `demo --data X stop` and `demo stop --data X` mean the same. */
function folderOf(command: Command): string {
  const named = [command, command.parent].find((one) => one?.getOptionValueSource('data') === 'cli')
  return resolve(workingDirectory(), String(named?.getOptionValue('data') ?? FOLDER))
}

function parseCount(text: string): number {
  const count = Number(text)
  if (NODE_COUNTS.some((known) => known === count)) return count
  throw new InvalidArgumentError(`Wanted ${NODE_COUNTS.join(', ')}.`)
}

function parsePortBase(text: string): number {
  const base = Number(text)
  if (/^\d+$/.test(text) && base <= PORT_BASE_MAX) return base
  throw new InvalidArgumentError(
    `Wanted a whole number from 0 to ${PORT_BASE_MAX}; it is added to every port.`,
  )
}

function parseNumber(text: string): number {
  const match = /^(?:node)?(\d)$/.exec(text)
  if (match) return Number(match[1])
  throw new InvalidArgumentError('Wanted the number of a node, for example 2.')
}

async function stopDemo(folder: string): Promise<void> {
  const outcome = await endDemo(folder)
  if (outcome.kind === 'stopped')
    say(`stopped in ${(outcome.tookMs / SECOND).toFixed(1)} s; the data stays in ${folder}`)
  else say(outcome.reason === 'NO_DEMO' ? `no demo in ${folder}` : 'the demo does not run')
}

async function cleanDemo(folder: string): Promise<void> {
  await endDemo(folder)
  const root = existsSync(folder) ? realpathSync(folder) : folder
  const removed = [...removeDemo(root)]
  if (existsSync(root) && readdirSync(root).length === 0) {
    rmdirSync(root)
    removed.push(root)
  }
  const cache = clearBinaryCache()
  for (const path of [...removed, ...cache.removed]) say(`removed ${path}`)
  for (const path of cache.inUse) say(`kept ${path}: a PostgreSQL runs from it`)
  if (removed.length + cache.removed.length === 0) say('nothing to remove')
}

async function showStatus(folder: string): Promise<void> {
  const state = presentState(folder)
  const supervisor = supervisorOf(state)
  say(supervisor ? `running, process ${supervisor.pid}` : 'not running')
  const seen = await observeCluster(state.nodes)
  const agents = new Map(
    state.nodes.flatMap(({ name, pids }) => (pids.agent === undefined ? [] : [[name, pids.agent] as const])),
  )
  for (const node of state.nodes) {
    say(`${node.name}  ${supervisor ? memberState(node, { agents, seen }) : 'stopped'}  ${node.api}`)
  }
  say(`primary ${state.primary}\nreplica ${state.replica}\npooled ${state.pooled}\napi ${state.api}`)
}

async function killSomething(
  folder: string,
  fault: { readonly name: FaultName; readonly number?: number },
): Promise<void> {
  for (const line of await makeFault(presentState(folder), fault)) say(line)
}

function presentState(folder: string): DemoState {
  const state = existsSync(folder) ? readDemoState(realpathSync(folder)) : undefined
  if (state) return state
  throw new Fault(
    'DEMO_NOT_RUNNING',
    `Cannot find a demo: "${join(folder, 'demo.json')}" is not there, start one with "npm start"`,
  )
}

function say(line: string): void {
  stdout.write(`${line}\n`)
}
