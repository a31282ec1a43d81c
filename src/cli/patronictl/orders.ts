import { ClientError, type Client } from '#client'
import { monotonicMs } from '../../platform/clock.ts'
import { pause as sleep } from '../../platform/timers.ts'
import { SECOND } from '../../std/units.ts'
import { visibleText } from '../../std/visible-text.ts'
import { connectForChange } from '../connect.ts'
import type { World } from '../world.ts'
import { agree, chosen, prompt, titled } from './asking.ts'
import { clientOf, seenThrough, type CtlContext, type MembersOptions } from './context.ts'
import { leaderOf, printMembers, type Seen } from './members.ts'
import { refuse } from './output.ts'
import { scheduledAt, scheduleRestart } from './scheduled.ts'

const LOOK_EVERY_MS = SECOND
/** A large directory takes its time; whoever waits can end this. */
const CLONE_MS = 24 * 60 * 60 * SECOND

export type MoveOptions = {
  readonly action: 'switchover' | 'failover'
  readonly leader?: string | undefined
  readonly candidate?: string | undefined
  readonly scheduled?: string | undefined
  readonly force: boolean
}

/** Another member becomes the primary: shows the cluster, asks as `patronictl` asks, and shows the cluster again. */
export async function move(context: CtlContext, options: MoveOptions): Promise<void> {
  const { endpoints, world } = context
  const { client } = await connectForChange(endpoints)
  const seen = await seenThrough(client, context.cluster)
  world.stdout.write('Current cluster topology\n')
  printMembers(seen, { format: 'pretty' }, world.stdout)
  const { at, ...request } = await agreed(seen, options, context)
  try {
    if (at !== undefined) {
      const { status, text } = await client.patroniOrder('POST', '/switchover', {
        ...request,
        scheduled_at: at,
      })
      if (status >= 400)
        return void world.stdout.write(`Switchover failed, details: ${status}, ${visibleText(text, 1000)}\n`)
      world.stdout.write(`${timestamp()} ${visibleText(text, 1000)}\n`)
      return printMembers(await seenThrough(client, context.cluster), { format: 'pretty' }, world.stdout)
    }
    const { to } = await client.switchover(request)
    const done = options.action === 'failover' ? 'failed' : 'switched'
    world.stdout.write(`${timestamp()} Successfully ${done} over to "${visibleText(to)}"\n`)
  } catch (error) {
    if (!(error instanceof ClientError) || error.status === undefined) throw error
    refuse(`${titled(options.action)} failed, details: ${error.status}, ${visibleText(error.message, 1000)}`)
  }
  printMembers(await seenThrough(client, context.cluster), { format: 'pretty' }, world.stdout)
}

async function agreed(
  seen: Seen,
  options: MoveOptions,
  context: CtlContext,
): Promise<{ leader?: string; candidate?: string; at?: string }> {
  const { action, force } = options
  const { world } = context
  const { scope, members } = seen.document
  const current = leaderOf(seen)?.name
  if (action === 'switchover' && current === undefined) refuse('This cluster has no leader')
  const isAsked = !force && action === 'switchover' && options.leader === undefined
  const leader = options.leader ?? (isAsked ? await prompt(world, 'Primary', current) : current)
  if (leader !== undefined && leader !== current)
    refuse(`Member ${leader} is not the leader of cluster ${scope}`)
  const others = members.filter(({ name, tags }) => name !== leader && tags?.nofailover !== true)
  const names = others.map(({ name }) => name)
  if (names.length === 0) refuse(`No candidates found to ${action} to`)
  const list = `[${names.map((name) => `'${name}'`).join(', ')}]`
  const candidate =
    options.candidate ?? (force ? undefined : (await prompt(world, `Candidate ${list}`, '')) || undefined)
  if (action === 'failover' && candidate === undefined)
    refuse('Failover could be performed only to a specific candidate')
  if (candidate !== undefined && candidate === leader)
    refuse(`${titled(action)} target and source are the same.`)
  if (candidate !== undefined && !names.includes(candidate))
    refuse(`Member ${candidate} does not exist in cluster ${scope}`)
  const { document } = seen
  const at =
    action === 'switchover'
      ? await scheduledAt(context, { action, given: options.scheduled, force, document })
      : undefined
  if (!force) {
    const demoting = leader === undefined ? '' : `, demoting current leader ${leader}`
    const [question, otherwise] =
      at === undefined
        ? [`Are you sure you want to ${action} cluster ${scope}${demoting}?`, `Aborting ${action}`]
        : [
            `Are you sure you want to schedule ${action} of cluster ${scope} at ${at}${demoting}?`,
            `Aborting scheduled ${action}`,
          ]
    await agree(world, question, otherwise)
  }
  return {
    ...(leader === undefined ? {} : { leader }),
    ...(candidate === undefined ? {} : { candidate }),
    ...(at === undefined ? {} : { at }),
  }
}

/** Replaces the data of standbys, one after the other. */
export async function reinitialise(
  context: CtlContext,
  options: MembersOptions & { readonly wait: boolean },
): Promise<void> {
  const { world } = context
  const { client } = await connectForChange(context.endpoints)
  const seen = await seenThrough(client, context.cluster)
  const names = await chosen(seen, { ...options, role: 'replica' }, { action: 'reinitialize', world })
  const begun: string[] = []
  for (const name of names) {
    try {
      await client.reinit(name)
      world.stdout.write(`Success: reinitialize for member ${visibleText(name)}\n`)
      begun.push(name)
    } catch (error) {
      tellFailure(world, error, { action: 'reinitialize', name })
    }
  }
  if (options.wait && begun.length > 0) await awaitClones(client, { seen, names: begun, world })
}

/** A directory that was cloned anew has another incarnation. */
async function awaitClones(
  client: Client,
  { seen, names, world }: { readonly seen: Seen; readonly names: readonly string[]; readonly world: World },
): Promise<void> {
  const before = new Map(seen.view.members.map(({ facts }) => [facts.name, facts.incarnation]))
  let waiting = names
  const giveUpAt = monotonicMs() + CLONE_MS
  world.stdout.write(`Waiting for reinitialize to complete on: ${visibleText(waiting.join(', '))}\n`)
  while (waiting.length > 0) {
    if (monotonicMs() > giveUpAt) refuse(`Not completed within a day on: ${waiting.join(', ')}`)
    await sleep(LOOK_EVERY_MS)
    const { members } = await client.view()
    const isDone = (name: string) => {
      const facts = members.find((member) => member.facts.name === name)?.facts
      return facts?.instance.state === 'running' && facts.incarnation !== before.get(name)
    }
    for (const name of waiting.filter(isDone))
      world.stdout.write(`Reinitialize is completed on: ${visibleText(name)}\n`)
    waiting = waiting.filter((name) => !isDone(name))
  }
}

/** Has members read their configuration again. */
export async function reload(context: CtlContext, options: MembersOptions): Promise<void> {
  const { world, endpoints } = context
  const { client } = await connectForChange(endpoints)
  const seen = await seenThrough(client, context.cluster)
  const names = await chosen(seen, options, { action: 'reload', world })
  for (const name of names) {
    try {
      await clientOf(name, seen, { client, endpoints }).reload()
      // A reload is done at once; this is the sentence that scripts know.
      world.stdout.write(
        `Reload request received for member ${visibleText(name)} and will be processed within 1 seconds\n`,
      )
    } catch (error) {
      tellFailure(world, error, { action: 'reload', name })
    }
  }
}

export type RestartOptions = MembersOptions & {
  /** One of them alone, whichever. */
  readonly any: boolean
  readonly pending: boolean
  /** Only where PostgreSQL is older. */
  readonly version?: string | undefined
  readonly scheduled?: string | undefined
}

/** Restarts PostgreSQL of members, one after the other: the leader last, since a standby must have what its settings ask of it. */
export async function restart(context: CtlContext, options: RestartOptions): Promise<void> {
  const { world } = context
  const { client } = await connectForChange(context.endpoints)
  const seen = await seenThrough(client, context.cluster)
  const { scheduled: given, force } = options
  let at: string | undefined
  const time = async () =>
    (at = await scheduledAt(context, { action: 'restart', given, force, document: seen.document }))
  const names = await chosen(seen, options, { action: 'restart', world, time })
  const asked = options.force
    ? ''
    : await prompt(world, 'Restart if the PostgreSQL version is less than provided (e.g. 9.5.2) ', '')
  const version = options.version ?? (asked || undefined)
  const limit = version === undefined ? undefined : versionNumber(version)
  const leader = leaderOf(seen)?.name
  const ordered = names.toSorted((one, other) => Number(one === leader) - Number(other === leader))
  for (const name of options.any ? ordered.slice(0, 1) : ordered) {
    if (at !== undefined) {
      const conditions = { isPending: options.pending, version, force }
      await scheduleRestart(context, seen, { name, at, client, ...conditions })
      continue
    }
    const { pendingRestart, serverVersion = 0 } =
      seen.view.members.find(({ facts }) => facts.name === name)?.facts.instance ?? {}
    const isMeant =
      (!options.pending || (pendingRestart?.length ?? 0) > 0) &&
      (limit === undefined || serverVersion < limit)
    if (!isMeant) {
      const why = 'status code=503, (restart conditions are not satisfied)'
      world.stdout.write(`Failed: restart for member ${visibleText(name)}, ${why}\n`)
      continue
    }
    try {
      await client.restart(name)
      world.stdout.write(`Success: restart on member ${visibleText(name)}\n`)
    } catch (error) {
      tellFailure(world, error, { action: 'restart', name })
    }
  }
}

/** `18.4` and `9.5.2` as PostgreSQL numbers them. */
function versionNumber(text: string): number {
  const parts = /^(\d+)(?:\.(\d+))?(?:\.(\d+))?$/.exec(text)
  const [major, minor, patch] = [Number(parts?.[1]), Number(parts?.[2] ?? 0), Number(parts?.[3] ?? 0)]
  if (!parts) return refuse(`Cannot read the version "${text}": wanted such as 18.4`)
  return major >= 10 ? major * 10_000 + minor : major * 10_000 + minor * 100 + patch
}

/** From now on nobody acts by itself, or everybody does again. */
export async function setPaused(context: CtlContext, isPaused: boolean): Promise<void> {
  const { world } = context
  const { client } = await connectForChange(context.endpoints)
  const { document } = await seenThrough(client, context.cluster)
  if ((document.pause === true) === isPaused) refuse(`Cluster is ${isPaused ? 'already' : 'not'} paused`)
  await client.patchConfig({ pause: isPaused ? true : null })
  world.stdout.write(`Success: cluster management is ${isPaused ? 'paused' : 'resumed'}\n`)
}

function tellFailure(
  world: World,
  error: unknown,
  { action, name }: { readonly action: string; readonly name: string },
): void {
  if (!(error instanceof ClientError)) throw error
  const what = `${action} for member ${visibleText(name)}`
  const why = visibleText(error.message, 1000)
  world.stdout.write(`Failed: ${what}, status code=${error.status ?? 'none'}, (${why})\n`)
}

/** `2026-05-04 03:02:01.12345` in local time, as `patronictl` prefixes what happened. */
export function timestamp(digits = 5, now = new Date()): string {
  const pad = (value: number, width = 2) => String(value).padStart(width, '0')
  const date = [now.getFullYear(), pad(now.getMonth() + 1), pad(now.getDate())].join('-')
  const time = [now.getHours(), now.getMinutes(), now.getSeconds()].map((part) => pad(part)).join(':')
  const fraction = pad(now.getMilliseconds(), 3).padEnd(digits, '0')
  return digits === 0 ? `${date} ${time}` : `${date} ${time}.${fraction}`
}
