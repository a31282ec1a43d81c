import { ClientError, type Client, type ClusterEvent } from '#client'
import { pause } from '../platform/timers.ts'
import { SECOND } from '../std/units.ts'
import { visibleText } from '../std/visible-text.ts'
import { connectCluster } from './connect.ts'
import type { Endpoints } from './endpoints.ts'
import { toned, type Format, type Report } from './report.ts'
import type { Tone } from './table.ts'
import type { World } from './world.ts'

const TONES: Readonly<Record<ClusterEvent['severity'], Tone | undefined>> = {
  info: undefined,
  good: 'good',
  warning: 'warning',
  critical: 'bad',
}

/** What one agent saw of the cluster in the last quarter of an hour, oldest first. */
export async function eventsReport(endpoints: Endpoints): Promise<Report> {
  const { client } = await connectCluster(endpoints)
  const { self, events } = await client.recent()
  return {
    data: { seenFrom: self, events },
    table: {
      title: `Seen from ${self}`,
      columns: [{ title: 'Time' }, { title: 'Member' }, { title: 'What happened' }],
      rows: events.map(({ at, member = '', severity, text }) => [at, member, toned(text, TONES[severity])]),
    },
    footer: events.length === 0 ? ['Nothing changed in the last quarter of an hour'] : [],
    rows: [
      ['at', 'severity', 'member', 'text'],
      ...events.map(({ at, severity, member, text }) => [at, severity, member, text]),
    ],
  }
}

/** People wait no longer for what has happened, and an agent is asked no more often. */
const LOOK_EVERY_MS = SECOND

export type FollowOptions = {
  readonly format: Format
  /** Waits for a moment; false: it is over. Absent: until the process is ended. */
  readonly wait?: () => Promise<boolean>
}

/**
 * Prints what changes from now on, a line each. When the agent that was asked does not answer any more, another one goes on: what that saw
 * before the last line is not told again.
 */
export async function followEvents(
  endpoints: Endpoints,
  { format, wait = () => pause(LOOK_EVERY_MS).then(() => true) }: FollowOptions,
  world: Pick<World, 'stdout' | 'stderr'>,
): Promise<void> {
  let { client } = await connectCluster(endpoints)
  const begun = await client.recent()
  let number = begun.next
  let toldAt = begun.events.at(-1)?.at ?? ''
  const tell = (events: readonly ClusterEvent[]) => {
    for (const event of events) world.stdout.write(`${lineOf(event, format)}\n`)
    toldAt = events.at(-1)?.at ?? toldAt
  }
  /** Everything that this life of an agent knows and nobody was told. */
  const catchUp = async () => {
    const { next, events } = await client.recent()
    number = next
    tell(events.filter(({ at }) => at > toldAt))
  }
  while (await wait()) {
    try {
      const { next, events } = await client.recent(number)
      // A new life of that agent counts from the beginning.
      if (next < number) await catchUp()
      else {
        number = next
        tell(events)
      }
    } catch (error) {
      if (!(error instanceof ClientError)) throw error
      const other = await another(endpoints, world, error)
      if (!other) continue
      client = other
      await catchUp()
    }
  }
}

async function another(
  endpoints: Endpoints,
  { stderr }: Pick<World, 'stderr'>,
  gone: ClientError,
): Promise<Client | undefined> {
  try {
    const { client } = await connectCluster(endpoints)
    return client
  } catch {
    stderr.write(`pg-metako: ${visibleText(gone.message, 1000)}; asks again\n`)
    return undefined
  }
}

/** One line an event, also for programs. */
function lineOf(event: ClusterEvent, format: Format): string {
  const { at, severity, member = '', text } = event
  switch (format) {
    case 'json':
      return JSON.stringify(event)
    case 'yaml':
      return `- ${JSON.stringify(event)}`
    case 'tsv':
      return [at, severity, member, visibleText(text, 1000)].join('\t')
    case 'pretty':
      return `${at}  ${severity.padEnd('critical'.length)}  ${visibleText(text, 1000)}`
  }
}
