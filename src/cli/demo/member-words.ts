import type { MemberView } from '#client'
import { bytes } from '../../std/quantity-text.ts'
import { MiB, MINUTE, SECOND } from '../../std/units.ts'
import type { DemoNode } from './demo-layout.ts'
import type { DemoPicture } from './supervisor.ts'

/** What a person wants to know about one member, in a word or two. */
export function stateOf(
  node: DemoNode,
  member: MemberView | undefined,
  picture: Pick<DemoPicture, 'agents' | 'seen'>,
): { readonly text: string; readonly good: boolean } {
  if (!picture.agents.has(node.name)) return { text: 'agent down, restarting', good: false }
  if (!member || !picture.seen.views.has(node.name)) return { text: 'agent starting', good: false }
  const { instance } = member.facts
  switch (instance.state) {
    case 'cloning':
    case 'rewinding':
      return { text: copyText(instance.state, instance.clone), good: false }
    case 'running':
      if (instance.role === 'primary') return { text: 'running', good: true }
      return instance.streaming === true
        ? { text: 'streaming', good: true }
        : { text: 'running, not streaming', good: false }
    case 'absent':
      return { text: 'waiting for its turn', good: false }
    case 'initialising':
    case 'stopped':
    case 'starting':
    case 'stopping':
    case 'crashed':
    case 'unknown':
      return { text: instance.state, good: false }
  }
}

/** The same for the member of a node, found in the best view. */
export function memberState(node: DemoNode, picture: Pick<DemoPicture, 'agents' | 'seen'>): string {
  const member = picture.seen.best?.members.find(({ facts }) => facts.name === node.name)
  return stateOf(node, member, picture).text
}

function copyText(state: string, clone: MemberView['facts']['instance']['clone']): string {
  if (!clone) return state
  const rate = `${Math.round(clone.bytesPerSecond / MiB)} MB/s`
  if (!clone.bytesTotal) return `${state} ${bytes(clone.bytesDone)} ${rate}`
  return `${state} ${Math.min(100, Math.floor((100 * clone.bytesDone) / clone.bytesTotal))} % ${rate}`
}

/** How long something has been, for people. */
export function duration(ms: number): string {
  const seconds = Math.floor(ms / SECOND)
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(ms / MINUTE)
  return minutes < 60
    ? `${minutes} min ${seconds % 60} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
