import type { Socket } from '../../platform/net.ts'
import type { Crew } from './crew.ts'
import type { Limit } from './shared-counts.ts'

/** Counts a client in for as long as its connection lives; `full`: a limit of the node is reached, and it is not counted. */
export function enterUntilClosed(
  crew: Crew,
  client: { readonly socket: Socket; readonly limits: readonly Limit[] },
  answer: (full: Limit | undefined) => void,
): void {
  const { socket, limits } = client
  if (limits.length === 0) return answer(undefined)
  crew.enter(limits, (full) => {
    if (!full) {
      if (socket.destroyed) crew.leave(limits)
      else socket.once('close', () => crew.leave(limits))
    }
    answer(full)
  })
}
