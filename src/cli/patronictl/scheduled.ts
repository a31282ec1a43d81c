import { ClientError, type Client, type ClusterDocument } from '#client'
import { wallMs } from '../../platform/clock.ts'
import { HOUR, MINUTE } from '../../std/units.ts'
import { visibleText } from '../../std/visible-text.ts'
import { connectForChange } from '../connect.ts'
import { chosen, prompt } from './asking.ts'
import { clientOf, seenThrough, type CtlContext, type MembersOptions } from './context.ts'
import type { Seen } from './members.ts'
import { refuse } from './output.ts'

/** A time of day, and the zone behind it in whatever ISO form. */
const ZONED = /^(.*\d:\d\d(?::\d\d(?:\.\d+)?)?)\s*(?:z|([+-]\d\d):?(\d\d)?)$/i

/** When it shall be done; `undefined`: now. Without a zone it is this host's. Asks where nothing is said and somebody can be asked. */
export async function scheduledAt(
  { world }: CtlContext,
  about: {
    readonly action: 'switchover' | 'restart'
    readonly given: string | undefined
    readonly force: boolean
    readonly document: ClusterDocument
  },
): Promise<string | undefined> {
  const { action, given, force, document } = about
  const nextHour = localTime(new Date(wallMs() + HOUR)).slice(0, 16)
  const question = `When should the ${action} take place (e.g. ${nextHour}${action === 'switchover' ? ' ' : ''}) `
  const text = given ?? (force ? undefined : await prompt(world, question, 'now'))
  if (text === undefined || text === '' || text === 'now') return undefined
  const [, local, hours = '+00', minutes = '00'] = ZONED.exec(text) ?? []
  const zoned = local === undefined ? undefined : `${local}${hours}:${minutes}`
  // A day alone begins at midnight here.
  const time = new Date(zoned ?? (text.includes(':') ? text : `${text}T00:00`))
  if (Number.isNaN(time.getTime()))
    refuse(
      `Unable to parse scheduled timestamp (${text}). It should be in an unambiguous format (e.g. ISO 8601)`,
    )
  if (document.pause) refuse(`Can't schedule ${action} in the paused state`)
  return zoned ?? localTime(time)
}

/** With the zone of this host, as Python writes it. */
function localTime(time: Date): string {
  const pad = (value: number) => String(Math.trunc(Math.abs(value))).padStart(2, '0')
  const minutes = -time.getTimezoneOffset()
  const zone = `${minutes < 0 ? '-' : '+'}${pad(minutes / 60)}:${pad(minutes % 60)}`
  return `${new Date(time.getTime() + minutes * MINUTE).toISOString().slice(0, 19)}${zone}`
}

/** Calls off what was to be done later. */
export async function flush(
  context: CtlContext,
  options: MembersOptions & { readonly target: 'restart' | 'switchover' },
): Promise<void> {
  const { world, endpoints } = context
  const { client } = await connectForChange(endpoints)
  const seen = await seenThrough(client, context.cluster)
  if (options.target === 'switchover') {
    if (!seen.document.scheduled_switchover)
      return void world.stdout.write('No pending scheduled switchover\n')
    const { status, text } = await client.patroniOrder('DELETE', '/switchover')
    if (status !== 200 && status !== 404) refuse(`Failed: status_code=${status}, (${visibleText(text, 200)})`)
    return void world.stdout.write(`${status === 200 ? 'Success' : 'Failed'}: ${visibleText(text, 200)}\n`)
  }
  for (const name of await chosen(seen, options, { action: 'flush', world })) {
    const member = seen.document.members.find((one) => one.name === name)
    if (!member?.scheduled_restart) {
      world.stdout.write(`No scheduled restart for member ${visibleText(name)}\n`)
      continue
    }
    const agent = clientOf(name, seen, { client, endpoints })
    await tell(agent.patroniOrder('DELETE', '/restart'), { action: 'flush scheduled restart', name, world })
  }
}

/** Has a member restarted later, by its own agent; with force what was to be done before is called off first. */
export async function scheduleRestart(
  { world, endpoints }: CtlContext,
  seen: Seen,
  order: {
    readonly name: string
    readonly at: string
    readonly client: Client
    readonly isPending: boolean
    readonly version: string | undefined
    readonly force: boolean
  },
): Promise<void> {
  const { name, at, client, isPending, version, force } = order
  const agent = clientOf(name, seen, { client, endpoints })
  const member = seen.document.members.find((one) => one.name === name)
  if (force && member?.scheduled_restart)
    await tell(agent.patroniOrder('DELETE', '/restart'), { action: 'flush scheduled restart', name, world })
  const body = {
    schedule: at,
    ...(isPending ? { restart_pending: true } : {}),
    ...(version === undefined ? {} : { postgres_version: version }),
  }
  const answer = agent.patroniOrder('POST', '/restart', body)
  await tell(answer, { action: 'restart', name, world })
}

/** In the sentences of `patronictl`. */
async function tell(
  asked: Promise<{ readonly status: number; readonly text: string }>,
  about: { readonly action: string; readonly name: string; readonly world: CtlContext['world'] },
): Promise<void> {
  const { action, world } = about
  const name = visibleText(about.name)
  const { status, text } = await asked.catch((error: unknown) => {
    if (error instanceof ClientError) return { status: error.status ?? 0, text: error.message }
    throw error
  })
  const sentence =
    status === 202
      ? `Success: ${action} scheduled on member ${name}`
      : status === 409 && action === 'restart'
        ? `Failed: another restart is already scheduled on member ${name}`
        : status >= 200 && status < 400
          ? `Success: ${action} for member ${name}`
          : `Failed: ${action} for member ${name}, status code=${status}, (${visibleText(text, 1000)})`
  world.stdout.write(`${sentence}\n`)
}
