import { signalProcess } from '../../platform/process.ts'
import { Fault } from '../../std/fault.ts'
import { supervisorOf, type DemoState, type DemoStateNode } from './demo-state.ts'
import { postmasterOf, processesOf, signalAll } from './node-processes.ts'
import { observeCluster, openPrimary } from './observe-cluster.ts'

export const FAULTS = ['primary', 'agent', 'node'] as const
export type FaultName = (typeof FAULTS)[number]

/**
 * Makes one fault in the running demo. `primary`: kill -9 of its postmaster; `agent`: kill -9 of one agent, its PostgreSQL goes
 * on; `node`: kill -9 of everything of one node. Without `number` the primary's node. Returns what was done, for people.
 */
export async function makeFault(
  state: DemoState,
  fault: { readonly name: FaultName; readonly number?: number },
): Promise<readonly string[]> {
  if (!supervisorOf(state)) {
    throw new Fault(
      'DEMO_NOT_RUNNING',
      'Cannot kill anything: the demo does not run, start it with "npm start"',
    )
  }
  const node =
    fault.number === undefined || fault.name === 'primary'
      ? await nodeOfPrimary(state)
      : nodeByNumber(state, fault.number)
  switch (fault.name) {
    case 'primary':
      return killPostmaster(node)
    case 'agent':
      return killAgent(node)
    case 'node':
      return killNode(node)
  }
}

function killPostmaster(node: DemoStateNode): readonly string[] {
  const postmaster = postmasterOf(node)
  if (!postmaster || !signalProcess(postmaster.pid, 'SIGKILL')) {
    throw new Fault(
      'DEMO_NOTHING_TO_KILL',
      `Cannot kill the primary: PostgreSQL of ${node.name} does not run`,
    )
  }
  return [
    `killed PostgreSQL of ${node.name}, the primary (kill -9 ${postmaster.pid})`,
    'watch: another node takes over, and this one streams again by itself',
  ]
}

function killAgent(node: DemoStateNode): readonly string[] {
  const { agents } = processesOf(node)
  if (signalAll(agents, 'SIGKILL') === 0) {
    throw new Fault('DEMO_NOTHING_TO_KILL', `Cannot kill the agent of ${node.name}: it does not run`)
  }
  return [
    `killed the agent of ${node.name} (kill -9 ${agents.map(({ pid }) => pid).join(' ')})`,
    'watch: PostgreSQL and router go on; the demo starts the agent again in 1 s, before the lease runs out',
  ]
}

/** Order: the agent first, so that it sees nothing die; the postmaster's children go by themselves, as after a power cut they would. */
function killNode(node: DemoStateNode): readonly string[] {
  const { agents, guards, routers } = processesOf(node)
  const postmaster = postmasterOf(node)
  const killed = [...agents, ...guards, ...routers, ...(postmaster ? [postmaster] : [])]
  if (signalAll(killed, 'SIGKILL') === 0) {
    throw new Fault('DEMO_NOTHING_TO_KILL', `Cannot kill ${node.name}: nothing of it runs`)
  }
  return [
    `killed agent, guard, router and PostgreSQL of ${node.name} (kill -9 ${killed.map(({ pid }) => pid).join(' ')})`,
    'watch: if it was the primary, another takes over when its lease has run out; the demo starts the agent again in 1 s',
  ]
}

async function nodeOfPrimary(state: DemoState): Promise<DemoStateNode> {
  const { best } = await observeCluster(state.nodes)
  const name = openPrimary(best)?.facts.name ?? best?.record?.holder
  const node = state.nodes.find((one) => one.name === name)
  if (!node) throw new Fault('DEMO_NO_PRIMARY', 'Cannot find the primary: no agent of the demo knows one now')
  return node
}

function nodeByNumber(state: DemoState, number: number): DemoStateNode {
  const node = state.nodes[number - 1]
  if (node) return node
  throw new Fault('DEMO_NODE_UNKNOWN', `Cannot find node ${number}: the demo has ${state.nodes.length}`)
}
