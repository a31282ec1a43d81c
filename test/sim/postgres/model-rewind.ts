import { Fault } from '../../../src/std/fault.ts'
import type { DataDirectory } from './data-directory.ts'
import type { PostgresHost } from './host.ts'
import { between, type Address, type Chance, type Range } from './ports.ts'
import { recoverInSingleUserMode, rewind } from './rewind.ts'

/* Measured on the real adapter, loopback, two cores, small databases; longer ones show more of what can come in between. */
const ASK_MS: Range = [10, 60]
const LOOK_MS: Range = [20, 150]
const LOOKS: Range = [3, 25]
const CONNECT_MS = 3000

/** Why a directory cannot be rewound, as `src/postgres/rewind.ts` says it. */
export function rewindObstacle(directory: DataDirectory, hasRewind: boolean): string | undefined {
  if (!hasRewind) return 'there is no pg_rewind'
  return directory.control.state === 'in archive recovery' ? 'it crashed as a standby' : undefined
}

type Work = {
  readonly host: PostgresHost
  readonly from: Address
  readonly chance: Chance
  /** Time of the agent's process: what it began ends with it. */
  readonly after: (ms: number, run: () => void) => void
  readonly done: (copy: DataDirectory) => void
  readonly failed: (fault: Fault) => void
}

/**
 * `src/postgres/rewind.ts` over the model: the source is asked first, then the directory lies aside and is torn for as long as pg_rewind
 * works, and comes back whole or not at all.
 */
export function runRewind(work: Work): void {
  const { host, chance, after, failed } = work
  const refuse = (why: string): void => failed(new Fault('REWIND_REFUSED', `Cannot rewind: ${why}`))
  after(between(chance, ASK_MS), () => {
    const source = reach(work)
    const target = host.disk.directory
    if (source === undefined) return after(CONNECT_MS, () => refuse('the source does not answer'))
    if (target === undefined || source.disk.directory?.systemId !== target.systemId)
      return refuse('the source is of another cluster')
    const { server } = source
    let isOver = false
    // pg_rewind reads pg_control, where only a checkpoint writes the timeline.
    server?.checkpointer.checkpoint(() => {
      if (isOver) return
      isOver = true
      after(between(chance, ASK_MS), () => tear(work, target))
    })
    after(CONNECT_MS, () => {
      if (isOver) return
      isOver = true
      refuse('the source does not answer')
    })
  })
}

function tear(work: Work, target: DataDirectory): void {
  const { host, chance, after, failed } = work
  host.disk.directory = undefined
  host.disk.halfRewound = target
  target.isDestroyed = true
  let left = Math.round(between(chance, LOOKS))
  const look = (): void => {
    const source = reach(work)?.disk.directory
    if (source === undefined) {
      failed(new Fault('PG_TOOL_FAILED', 'Cannot run pg_rewind: could not fetch the next file'))
      return
    }
    left -= 1
    if (left > 0) return after(between(chance, LOOK_MS), look)
    recoverInSingleUserMode(target)
    const outcome = rewind(target, source)
    if (typeof outcome === 'string') failed(new Fault('REWIND_FAILED', `Cannot rewind: ${outcome}`))
    else {
      host.disk.halfRewound = undefined
      work.done(outcome)
    }
  }
  look()
}

/** The primary there, while it answers and both directions are open. */
function reach({ host, from }: Work): PostgresHost | undefined {
  const source = host.world.hostAt(from)
  const { network } = host.world
  if (source?.isAwake !== true || source.server?.phase !== 'ready') return undefined
  if (source.server.isInRecovery || source.server.isFrozen || !source.server.isPostmasterAlive)
    return undefined
  const isOpen =
    network.delayMs(host.name, source.name) !== undefined &&
    network.delayMs(source.name, host.name) !== undefined
  return isOpen ? source : undefined
}
