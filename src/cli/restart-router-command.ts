import { SECOND } from '../std/units.ts'
import { visibleText } from '../std/visible-text.ts'
import { outcomeUnknown, requireMember } from './ask-first.ts'
import { CommandFailure, EXIT } from './command-failure.ts'
import { connectForChange, type Connection } from './connect.ts'
import type { Endpoints } from './endpoints.ts'
import { plainReport, printReport, type Format } from './report.ts'
import type { World } from './world.ts'

/** Has another process take the place of a node's router; its clients stay until they leave, or until the time is over. */
export async function restartRouter(
  endpoints: Endpoints,
  options: { readonly name: string | undefined; readonly format: Format },
  world: World,
): Promise<void> {
  const { client } = await connectTo(endpoints, options.name)
  const hint = 'It may have happened all the same: the pids of "pg-metako list --format json" tell'
  const result = await client.restartRouter().catch(outcomeUnknown('A restart of the router', hint))
  if (options.format !== 'pretty') {
    const rows = [
      ['node', 'router', 'retiring', 'drain_timeout'],
      [result.node, result.router, result.retiring, result.drainTimeoutMs / SECOND],
    ]
    return printReport(plainReport(result, rows), options.format, world)
  }
  world.stdout.write(
    `${visibleText(`Process ${result.router} has the ports of the router of "${result.node}"; process ${result.retiring} ends behind its clients, after ${result.drainTimeoutMs / SECOND} s at the latest`)}\n`,
  )
}

/** The agent of this very member: no other has anything to do with its router. */
async function connectTo(endpoints: Endpoints, name: string | undefined): Promise<Connection> {
  if (name === undefined) return connectForChange({ ...endpoints, list: endpoints.list.slice(0, 1) })
  const { view } = await connectForChange(endpoints)
  requireMember(
    name,
    view.members.map(({ facts }) => facts.name),
    'restart a router',
  )
  for (const endpoint of endpoints.list) {
    const found = await connectForChange({ ...endpoints, list: [endpoint] }).catch(() => undefined)
    if (found?.view.self === name) return found
  }
  throw new CommandFailure(
    EXIT.unreachable,
    `Cannot reach the agent of "${visibleText(name)}"`,
    'Name its API: --url http://HOST:8008',
  )
}
