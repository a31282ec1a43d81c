import type { ClusterView } from '#client'
import { visibleText } from '../std/visible-text.ts'
import { confirm, outcomeUnknown, requireMember } from './ask-first.ts'
import { CommandFailure, EXIT } from './command-failure.ts'
import { connectForChange } from './connect.ts'
import type { Endpoints } from './endpoints.ts'
import { holderOf, memberList } from './member-list.ts'
import { plainReport, printReport, type Format } from './report.ts'
import type { World } from './world.ts'

export type ReinitOptions = { readonly name: string; readonly force: boolean; readonly format: Format }

/** Has the data of a standby cloned anew: shows the cluster, asks, and says what was begun. */
export async function reinit(endpoints: Endpoints, options: ReinitOptions, world: World): Promise<void> {
  const { client, view } = await connectForChange(endpoints)
  refuse(view, options.name)
  if (!options.force) {
    const question = `Replace all data of "${visibleText(options.name)}" by a new clone?`
    const shown = memberList(view, { asTree: true })
    await confirm({ whether: 'clone a member anew', shown, question }, world)
  }
  const hint = 'It may happen all the same: look at "pg-metako list" before trying again'
  const result = await client.reinit(options.name).catch(outcomeUnknown('A new clone', hint))
  if (options.format !== 'pretty') {
    const rows = [
      ['name', 'from'],
      [result.name, result.from],
    ]
    return printReport(plainReport(result, rows), options.format, world)
  }
  world.stdout.write(
    `${visibleText(`"${result.name}" clones "${result.from}" anew as soon as no commit hangs on it: see "pg-metako list"`)}\n`,
  )
}

/** The agent refuses the same; whoever is about to confirm should not have to be told afterwards. */
function refuse(view: ClusterView, name: string): void {
  requireMember(
    name,
    view.members.map(({ facts }) => facts.name),
    'clone anew',
  )
  if (holderOf(view) === name)
    throw new CommandFailure(
      EXIT.failed,
      `Cannot clone "${name}" anew: it is the primary`,
      'First: pg-metako switchover',
    )
}
