import { ClientError, type ClusterView, type SwitchoverRequest, type SwitchoverResult } from '#client'
import { nearest } from '../std/nearest.ts'
import { visibleText } from '../std/visible-text.ts'
import { CommandFailure, EXIT } from './command-failure.ts'
import { connectForChange } from './connect.ts'
import type { Endpoints } from './endpoints.ts'
import { holderOf, memberList } from './member-list.ts'
import { printReport, type Format } from './report.ts'
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
  if (!options.force) await confirm(view, request, world)
  const result = await client.switchover(request).catch(outcomeUnknown)
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
    if (name !== undefined && !names.includes(name)) {
      const meant = nearest(name, names)
      throw new CommandFailure(
        EXIT.failed,
        `Cannot switch over: there is no member "${name}", the members are ${names.join(', ')}`,
        meant === undefined ? undefined : `Did you mean ${meant}?`,
      )
    }
  const leader = options.leader ?? holderOf(view)
  if (leader === undefined)
    throw new CommandFailure(
      EXIT.failed,
      'Cannot switch over: the cluster has no primary now',
      'Wait until "pg-metako list" shows one; without a primary the members elect one by themselves',
    )
  return { leader, ...(options.candidate === undefined ? {} : { candidate: options.candidate }) }
}

async function confirm(view: ClusterView, request: SwitchoverRequest, world: World): Promise<void> {
  if (!world.ask)
    throw new CommandFailure(
      EXIT.wrongUsage,
      'Cannot ask whether to switch over: there is no terminal',
      'Add --force to do it without a question',
    )
  printReport(memberList(view, { asTree: true }), 'pretty', { ...world, stdout: world.stderr })
  const to = request.candidate === undefined ? 'the best standby' : `"${request.candidate}"`
  const answer = await world.ask(
    `Switch over from "${visibleText(request.leader ?? '')}" to ${visibleText(to)}? [y/N] `,
  )
  if (/^y(es)?$/i.test(answer?.trim() ?? '')) return
  throw new CommandFailure(EXIT.failed, 'Nothing was changed: the question was not answered with yes')
}

/** The request was sent and no answer came: that it failed is not known. */
function outcomeUnknown(error: unknown): never {
  if (!(error instanceof ClientError) || error.kind !== 'unreachable') throw error
  throw new CommandFailure(
    EXIT.unreachable,
    `The switchover was asked for, and no answer came: ${error.message}`,
    'It may have happened all the same: look at "pg-metako list" before trying again',
  )
}

function resultReport(result: SwitchoverResult) {
  return {
    data: result,
    table: { columns: [], rows: [] },
    footer: [],
    rows: [
      ['from', 'to', 'epoch', 'took_ms'],
      [result.from, result.to, result.epoch, result.tookMs],
    ],
  }
}
