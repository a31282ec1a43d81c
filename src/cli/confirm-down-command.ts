import { visibleText } from '../std/visible-text.ts'
import { confirm, outcomeUnknown, requireMember } from './ask-first.ts'
import { connectForChange } from './connect.ts'
import type { Endpoints } from './endpoints.ts'
import { memberList } from './member-list.ts'
import { plainReport, printReport, type Format } from './report.ts'
import type { World } from './world.ts'

export type ConfirmDownOptions = { readonly name: string; readonly force: boolean; readonly format: Format }

/** Tells the cluster that the PostgreSQL of a lost primary does not run, which nobody but a person can know; says the price first. */
export async function confirmDown(
  endpoints: Endpoints,
  options: ConfirmDownOptions,
  world: World,
): Promise<void> {
  const { client, view } = await connectForChange(endpoints)
  const { name } = options
  requireMember(
    name,
    view.members.map(({ facts }) => facts.name),
    'confirm that a member is down',
  )
  if (!options.force) {
    const question = `If PostgreSQL still runs on "${visibleText(name)}", two primaries will write and one of them loses all of it. Are you sure that it is down and stays down?`
    await confirm(
      { whether: 'take a member for down', shown: memberList(view, { asTree: true }), question },
      world,
    )
  }
  const hint = 'Look at "pg-metako list" before trying again'
  const result = await client.confirmDown(name).catch(outcomeUnknown('To take a member for down', hint))
  if (options.format !== 'pretty') {
    const rows = [
      ['name', 'epoch'],
      [result.name, result.epoch],
    ]
    return printReport(plainReport(result, rows), options.format, world)
  }
  world.stdout.write(
    `${visibleText(`"${result.name}" is taken for down: the others take over from epoch ${result.epoch}, see "pg-metako list"`)}\n`,
  )
}
