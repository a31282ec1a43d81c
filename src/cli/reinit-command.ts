import { ClientError, type ClusterView } from '#client'
import { nearest } from '../std/nearest.ts'
import { visibleText } from '../std/visible-text.ts'
import { CommandFailure, EXIT } from './command-failure.ts'
import { connectForChange } from './connect.ts'
import type { Endpoints } from './endpoints.ts'
import { holderOf, memberList } from './member-list.ts'
import { printReport, type Format } from './report.ts'
import type { World } from './world.ts'

export type ReinitOptions = { readonly name: string; readonly force: boolean; readonly format: Format }

/** Has the data of a standby cloned anew: shows the cluster, asks, and says what was begun. */
export async function reinit(endpoints: Endpoints, options: ReinitOptions, world: World): Promise<void> {
  const { client, view } = await connectForChange(endpoints)
  refuse(view, options.name)
  if (!options.force) await confirm(view, options.name, world)
  const result = await client.reinit(options.name).catch(outcomeUnknown)
  if (options.format !== 'pretty') {
    const rows = [
      ['name', 'from'],
      [result.name, result.from],
    ]
    return printReport(
      { data: result, table: { columns: [], rows: [] }, footer: [], rows },
      options.format,
      world,
    )
  }
  world.stdout.write(
    `${visibleText(`"${result.name}" clones "${result.from}" anew as soon as no commit hangs on it: see "pg-metako list"`)}\n`,
  )
}

/** The agent refuses the same; whoever is about to confirm should not have to be told afterwards. */
function refuse(view: ClusterView, name: string): void {
  const names = view.members.map(({ facts }) => facts.name)
  if (!names.includes(name)) {
    const meant = nearest(name, names)
    throw new CommandFailure(
      EXIT.failed,
      `Cannot clone anew: there is no member "${name}", the members are ${names.join(', ')}`,
      meant === undefined ? undefined : `Did you mean ${meant}?`,
    )
  }
  if (holderOf(view) === name)
    throw new CommandFailure(
      EXIT.failed,
      `Cannot clone "${name}" anew: it is the primary`,
      'First: pg-metako switchover',
    )
}

async function confirm(view: ClusterView, name: string, world: World): Promise<void> {
  if (!world.ask)
    throw new CommandFailure(
      EXIT.wrongUsage,
      'Cannot ask whether to clone a member anew: there is no terminal',
      'Add --force to do it without a question',
    )
  printReport(memberList(view, { asTree: true }), 'pretty', { ...world, stdout: world.stderr })
  const answer = await world.ask(`Replace all data of "${visibleText(name)}" by a new clone? [y/N] `)
  if (/^y(es)?$/i.test(answer?.trim() ?? '')) return
  throw new CommandFailure(EXIT.failed, 'Nothing was changed: the question was not answered with yes')
}

/** The request was sent and no answer came: that it failed is not known. */
function outcomeUnknown(error: unknown): never {
  if (!(error instanceof ClientError) || error.kind !== 'unreachable') throw error
  throw new CommandFailure(
    EXIT.unreachable,
    `A new clone was asked for, and no answer came: ${error.message}`,
    'It may happen all the same: look at "pg-metako list" before trying again',
  )
}
