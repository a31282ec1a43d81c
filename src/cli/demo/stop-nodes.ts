import { monotonicMs } from '../../platform/clock.ts'
import { pause } from '../../platform/timers.ts'
import { Fault } from '../../std/fault.ts'
import { SECOND } from '../../std/units.ts'
import type { DemoNode } from './demo-layout.ts'
import { pidsOf, postmasterOf, processesOf, signalAll } from './node-processes.ts'

/** An agent stops its node within 8 s; with what follows, all of it stays below 10 s. */
const AGENTS_MS = 8 * SECOND
/** Guard and router end with their agent, not before it. */
const COMPANIONS_MS = 500
/** A postmaster that has no agent any more ends its children and goes at once on SIGQUIT. */
const QUIT_MS = 700
const KILL_MS = 1 * SECOND
const LOOK_MS = 50

export type StopOutcome = {
  /** Processes that did not go by themselves. */
  readonly forced: number
  readonly tookMs: number
}

/**
 * Leaves no process of these nodes behind. First every agent is asked at the same time to stop its node; whatever is left
 * of a node after that, or had no agent to be asked, is ended from here. An aborted `hurry` skips the asking.
 * Throws `DEMO_NOT_STOPPED` when even a kill left something.
 */
export async function stopNodes(nodes: readonly DemoNode[], hurry: AbortSignal): Promise<StopOutcome> {
  const startedMs = monotonicMs()
  if (!hurry.aborted) {
    for (const node of nodes) signalAll(processesOf(node).agents, 'SIGTERM')
    const isLeft = (node: DemoNode) => processesOf(node).agents.length === 0
    const allLeft = await waitUntil(() => nodes.every(isLeft), AGENTS_MS, hurry)
    if (allLeft) await waitUntil(() => isEmpty(nodes), COMPANIONS_MS, hurry)
  }
  const forced = await endWhatIsLeft(nodes)
  return { forced, tookMs: monotonicMs() - startedMs }
}

/** Order: agents first, since they start again what dies; the database last and softly, so that it leaves no shared memory. */
async function endWhatIsLeft(nodes: readonly DemoNode[]): Promise<number> {
  let forced = 0
  for (const node of nodes) forced += signalAll(processesOf(node).agents, 'SIGKILL')
  for (const node of nodes) {
    const { guards, routers } = processesOf(node)
    forced += signalAll([...guards, ...routers], 'SIGKILL')
    const postmaster = postmasterOf(node)
    if (!postmaster) continue
    forced += signalAll([postmaster], 'SIGQUIT')
    signalAll([postmaster], 'SIGCONT')
  }
  if (await waitUntil(() => isEmpty(nodes), forced > 0 ? QUIT_MS : 0)) return forced
  for (const node of nodes) {
    const { agents, guards, routers, instance } = processesOf(node)
    forced += signalAll([...agents, ...guards, ...routers, ...instance], 'SIGKILL')
  }
  if (await waitUntil(() => isEmpty(nodes), KILL_MS)) return forced
  const left = nodes.flatMap((node) => pidsOf(processesOf(node)))
  throw new Fault('DEMO_NOT_STOPPED', `Cannot stop the demo: processes ${left.join(', ')} do not end`, {
    details: { pids: left },
  })
}

function isEmpty(nodes: readonly DemoNode[]): boolean {
  return nodes.every((node) => pidsOf(processesOf(node)).length === 0)
}

async function waitUntil(isTrue: () => boolean, ms: number, signal?: AbortSignal): Promise<boolean> {
  const giveUpAt = monotonicMs() + ms
  for (;;) {
    if (isTrue()) return true
    if (monotonicMs() >= giveUpAt || signal?.aborted) return false
    await pause(LOOK_MS, signal)
  }
}
