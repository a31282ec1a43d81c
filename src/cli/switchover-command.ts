import type { ClusterView, SwitchoverRequest, SwitchoverResult } from '#client'
import { visibleText } from '../std/visible-text.ts'
import { confirm, outcomeUnknown, requireMember } from './ask-first.ts'
import { CommandFailure, EXIT } from './command-failure.ts'
import { connectForChange } from './connect.ts'
import type { Endpoints } from './endpoints.ts'
import { holderOf, memberList } from './member-list.ts'
import { plainReport, printReport, type Format } from './report.ts'
import type { World } from './world.ts'

export type SwitchoverOptions = {
  readonly leader?: string | undefined
  readonly candidate?: string | undefined
  readonly force: boolean
  readonly format: Format
}

/** Moves the primary on purpose: shows the cluster, asks, does it, and says what happened. */
export async function switchover(
  endpoints: Endpoints,
  options: SwitchoverOptions,
  world: World,
): Promise<void> {
  const { client, view } = await connectForChange(endpoints)
  const request = requestFrom(view, options)
  if (!options.force) {
    const to = request.candidate === undefined ? 'the best standby' : `"${request.candidate}"`
    const question = `Switch over from "${visibleText(request.leader ?? '')}" to ${visibleText(to)}?`
    await confirm({ whether: 'switch over', shown: memberList(view, { asTree: true }), question }, world)
  }
  const hint = 'It may have happened all the same: look at "pg-metako list" before trying again'
  const result = await client.switchover(request).catch(outcomeUnknown('The switchover', hint))
  if (options.format !== 'pretty') return printReport(resultReport(result), options.format, world)
  world.stdout.write(
    `${visibleText(`Switched over from "${result.from}" to "${result.to}" in ${result.tookMs} ms (epoch ${result.epoch})`)}\n`,
  )
}

/**
 * Names the primary also when the person did not: what was confirmed is what is done, even when another
 * switchover came in between.
 */
function requestFrom(view: ClusterView, options: SwitchoverOptions): SwitchoverRequest {
  const names = view.members.map(({ facts }) => facts.name)
  for (const name of [options.leader, options.candidate])
    if (name !== undefined) requireMember(name, names, 'switch over')
  const leader = options.leader ?? holderOf(view)
  if (leader === undefined)
    throw new CommandFailure(
      EXIT.failed,
      'Cannot switch over: the cluster has no primary now',
      'Wait until "pg-metako list" shows one; without a primary the members elect one by themselves',
    )
  return { leader, ...(options.candidate === undefined ? {} : { candidate: options.candidate }) }
}

function resultReport(result: SwitchoverResult) {
  return plainReport(result, [
    ['from', 'to', 'epoch', 'took_ms'],
    [result.from, result.to, result.epoch, result.tookMs],
  ])
}
