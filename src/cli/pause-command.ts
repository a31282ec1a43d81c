import type { Client, ClusterView, MemberFacts } from '#client'
import { SECOND } from '../std/units.ts'
import { visibleText } from '../std/visible-text.ts'
import { outcomeUnknown } from './ask-first.ts'
import { awaitView } from './await-view.ts'
import { CommandFailure, EXIT } from './command-failure.ts'
import { connectForChange } from './connect.ts'
import type { Endpoints } from './endpoints.ts'
import { plainReport, printReport, type Format } from './report.ts'
import type { World } from './world.ts'

export type PauseOptions = {
  readonly paused: boolean
  /** Ends when every member that is heard has taken it in, and the guard of a primary has let go or holds a deadline again. */
  readonly wait: boolean
  readonly format: Format
}

const WAIT_MS = 30 * SECOND

/** `pause` and `resume`: from now on nobody acts by itself, or everybody does again. */
export async function pause(endpoints: Endpoints, options: PauseOptions, world: World): Promise<void> {
  const { client, view } = await connectForChange(endpoints)
  const { paused, wait, format } = options
  const what = paused ? 'paused' : 'resumed'
  if ((view.paused === true) === paused) {
    throw new CommandFailure(
      EXIT.failed,
      paused ? 'The cluster is paused already' : 'The cluster is not paused',
    )
  }
  await client
    .patchConfig({ pause: paused ? true : null })
    .catch(outcomeUnknown(paused ? 'A pause' : 'An end of the pause', 'Look at "pg-metako list"'))
  const unheard = wait ? await awaitAll(client, paused) : []
  if (format !== 'pretty') {
    const rows = [['paused'], [paused]]
    return printReport(plainReport({ paused }, rows), format, world)
  }
  world.stdout.write(`The cluster is ${what}: ${paused ? PRICE : 'take-overs happen again'}.\n`)
  if (unheard.length > 0)
    world.stdout.write(
      `Not heard, and so not known to have taken it in: ${visibleText(unheard.join(', '))}.\n`,
    )
}

const PRICE = 'nobody takes over, and what stops stays down until "pg-metako resume"'

/** Those that are silent; they take it in when they are back. */
async function awaitAll(client: Client, paused: boolean): Promise<readonly string[]> {
  let left: readonly string[] = []
  let silent: readonly string[] = []
  const isThere = await awaitView(client, WAIT_MS, (view) => {
    const others = view.members.filter(({ facts, reachable }) => reachable && !hasTakenIn(facts, paused))
    left = others.map(({ facts }) => facts.name)
    silent = silentOf(view)
    return left.length === 0
  })
  if (isThere) return silent
  throw new CommandFailure(
    EXIT.failed,
    `Not every member has taken it in after ${WAIT_MS / SECOND} s: ${visibleText(left.join(', '))}`,
    'It is set, and they will; see "pg-metako list"',
  )
}

/** A guard that has not let go still ends its primary when the lease runs out, and one that holds no deadline does not. */
function hasTakenIn(facts: MemberFacts, paused: boolean): boolean {
  if ((facts.paused === true) !== paused) return false
  return paused ? facts.guard !== 'armed' : facts.instance.role !== 'primary' || facts.guard !== 'idle'
}

function silentOf({ members }: ClusterView): readonly string[] {
  return members.filter(({ reachable }) => !reachable).map(({ facts }) => facts.name)
}
