import type { RaftTransport } from '../../src/store/raft/transport.ts'

type Listener = (peer: string, message: Uint8Array) => void

/** A network inside one process: messages arrive in a later turn of the event loop, links can be cut. */
export type MemoryNetwork = {
  transportOf(self: string): RaftTransport
  /** Cuts or heals the link from one member to another, in that direction. */
  setLink(from: string, to: string, isUp: boolean): void
  /** Cuts a member off from everybody, or lets it back. */
  setMember(member: string, isUp: boolean): void
  /** Number of messages that arrived. */
  delivered(): number
}

export function createMemoryNetwork(): MemoryNetwork {
  const listeners = new Map<string, Set<Listener>>()
  const cutLinks = new Set<string>()
  const cutMembers = new Set<string>()
  let delivered = 0
  const isUp = (from: string, to: string): boolean =>
    !cutLinks.has(`${from}>${to}`) && !cutMembers.has(from) && !cutMembers.has(to)
  return {
    transportOf: (self) => ({
      send(peer, message) {
        const bytes = message.slice()
        setImmediate(() => {
          if (!isUp(self, peer)) return
          delivered += 1
          for (const listener of listeners.get(peer) ?? []) listener(self, bytes)
        })
      },
      onMessage(listener) {
        const own = listeners.get(self) ?? new Set()
        listeners.set(self, own.add(listener))
        return () => own.delete(listener)
      },
    }),
    setLink(from, to, up) {
      if (up) cutLinks.delete(`${from}>${to}`)
      else cutLinks.add(`${from}>${to}`)
    },
    setMember(member, up) {
      if (up) cutMembers.delete(member)
      else cutMembers.add(member)
    },
    delivered: () => delivered,
  }
}
