import { monotonicMs } from '../../platform/clock.ts'
import { existsSync, realpathSync } from '../../platform/disk.ts'
import { isAlive, type ProcessIdentity } from '../../platform/process-table.ts'
import { signalProcess } from '../../platform/process.ts'
import { pause } from '../../platform/timers.ts'
import { SECOND } from '../../std/units.ts'
import { readDemoState, supervisorOf, writeDemoState, type DemoState } from './demo-state.ts'
import { stopNodes } from './stop-nodes.ts'

/** The demo stops everything within 10 s, and says so by ending. */
const SUPERVISOR_MS = 11 * SECOND
const LOOK_MS = 50

export type EndOutcome =
  | { readonly kind: 'stopped'; readonly tookMs: number }
  | { readonly kind: 'absent'; readonly reason: 'NO_DEMO' | 'NOT_RUNNING' }

/** Stops the demo of a folder from elsewhere, also what is left of one whose supervisor is dead. */
export async function endDemo(folder: string): Promise<EndOutcome> {
  const state = existsSync(folder) ? readDemoState(realpathSync(folder)) : undefined
  if (!state) return { kind: 'absent', reason: 'NO_DEMO' }
  const startedMs = monotonicMs()
  const supervisor = supervisorOf(state)
  if (supervisor) await askSupervisor(supervisor)
  const { forced } = await stopNodes(state.nodes, new AbortController().signal)
  if (!supervisor && forced === 0 && !hasRun(state)) return { kind: 'absent', reason: 'NOT_RUNNING' }
  writeDemoState(realpathSync(folder), stoppedState(state))
  return { kind: 'stopped', tookMs: monotonicMs() - startedMs }
}

async function askSupervisor(supervisor: ProcessIdentity): Promise<void> {
  signalProcess(supervisor.pid, 'SIGTERM')
  const giveUpAt = monotonicMs() + SUPERVISOR_MS
  while (isAlive(supervisor) && monotonicMs() < giveUpAt) await pause(LOOK_MS)
  // A supervisor that hangs would start again what is stopped now.
  if (isAlive(supervisor)) signalProcess(supervisor.pid, 'SIGKILL')
}

function hasRun(state: DemoState): boolean {
  return state.supervisor !== undefined
}

function stoppedState(state: DemoState): DemoState {
  const { supervisor: _, ...rest } = state
  return {
    ...rest,
    nodes: state.nodes.map(({ agent: _agent, ...node }) => ({ ...node, pids: {} })),
  }
}
