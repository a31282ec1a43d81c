import { createClient, type ClusterView, type MemberView } from '#client'
import { createHttpExchange } from '../../platform/http-client.ts'
import { connectWithin } from '../../platform/net.ts'
import { DEMO_HOST, type DemoNode } from './demo-layout.ts'

/** What all agents said at one look. An agent that did not answer has no view. */
export type Observation = {
  readonly views: ReadonlyMap<string, ClusterView>
  /** The view of the agent that knows most; absent when nobody answered. */
  readonly best?: ClusterView
}

const ANSWER_MS = 1_000

/** Asks every agent at the same time; takes as long as the slowest answer, 1 s at most. */
export async function observeCluster(nodes: readonly DemoNode[]): Promise<Observation> {
  const transport = createHttpExchange()
  const answers = await Promise.all(
    nodes.map(async (node) => {
      try {
        return await createClient({ url: node.api, timeoutMs: ANSWER_MS, transport }).view()
      } catch {
        return undefined
      }
    }),
  )
  const views = new Map(answers.flatMap((view) => (view ? [[view.self, view] as const] : [])))
  const best = [...views.values()].toSorted(byKnowledge)[0]
  return best ? { views, best } : { views }
}

/** First who sees the newest epoch, then who has the longest proof of the lease. */
function byKnowledge(left: ClusterView, right: ClusterView): number {
  return (
    Number(right.consensus.hasQuorum) - Number(left.consensus.hasQuorum) ||
    (right.record?.epoch ?? 0) - (left.record?.epoch ?? 0) ||
    right.leaseRemainingMs - left.leaseRemainingMs
  )
}

/** The member that has the right to be primary and has opened; undefined while nobody takes writes. */
export function openPrimary(view: ClusterView | undefined): MemberView | undefined {
  const record = view?.record
  if (record?.state !== 'open') return undefined
  return view?.members.find(
    ({ facts }) =>
      facts.name === record.holder && facts.instance.state === 'running' && facts.instance.role === 'primary',
  )
}

/** Every node answers, and routes where it should, one is an open primary, and all others that have a database stream from it. */
export function isHealthy(seen: Observation, nodes: readonly DemoNode[]): boolean {
  const primary = openPrimary(seen.best)
  if (!seen.best || !primary || seen.views.size < nodes.length) return false
  return nodes.every((node) => {
    const member = seen.best?.members.find(({ facts }) => facts.name === node.name)
    // A router says so to its agent only once it listens; port 0: this node has none.
    if (node.ports.primary !== 0 && seen.views.get(node.name)?.pids.router === undefined) return false
    if (member?.reachable && member.facts.witness) return true
    if (!member?.reachable || member.facts.instance.state !== 'running') return false
    return member === primary || member.facts.instance.streaming === true
  })
}

/** Whether something accepts connections there. */
export async function accepts(port: number): Promise<boolean> {
  try {
    const socket = await connectWithin({ host: DEMO_HOST, port }, ANSWER_MS)
    socket.destroy()
    return true
  } catch {
    return false
  }
}
