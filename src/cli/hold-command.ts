import { visibleText } from '../std/visible-text.ts'
import { outcomeUnknown, requireMember } from './ask-first.ts'
import { connectForChange } from './connect.ts'
import type { Endpoints } from './endpoints.ts'
import { holderOf } from './member-list.ts'
import { plainReport, printReport, type Format } from './report.ts'
import type { World } from './world.ts'

export type HoldOptions = {
  readonly name: string
  readonly isHeld: boolean
  /** For the others who look at the cluster meanwhile. */
  readonly reason?: string | undefined
  readonly format: Format
}

/** Takes a standby out of service, or back, and says what that leaves. */
export async function hold(endpoints: Endpoints, options: HoldOptions, world: World): Promise<void> {
  const { client, view } = await connectForChange(endpoints)
  const { name, isHeld, reason, format } = options
  const names = view.members.map(({ facts }) => facts.name)
  requireMember(name, names, isHeld ? 'hold' : 'take back')
  const asked = isHeld ? client.hold(name, reason === undefined ? {} : { reason }) : client.unhold(name)
  const result = await asked.catch(
    outcomeUnknown(isHeld ? 'The hold' : 'The end of the hold', 'Look at "pg-metako list"'),
  )
  if (format !== 'pretty') {
    const rows = [
      ['name', 'held'],
      [result.name, result.held],
    ]
    return printReport(plainReport(result, rows), format, world)
  }
  const shown = visibleText(`"${name}"`)
  world.stdout.write(
    isHeld
      ? `${shown} is held: it takes over from nobody and gets no reads from routers, until "pg-metako unhold ${visibleText(name)}".\n`
      : `${shown} is held no more.\n`,
  )
  const primary = holderOf(view)
  const isLeft = view.members.some(
    ({ facts, reachable }) =>
      ![name, primary].includes(facts.name) &&
      reachable &&
      facts.instance.streaming === true &&
      !facts.tags?.nofailover,
  )
  if (isHeld && !isLeft)
    world.stdout.write('Nobody else could take over now: without the primary nobody would take writes.\n')
}
