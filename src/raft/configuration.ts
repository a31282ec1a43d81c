import { assert } from '../std/assert.ts'
import { MEMBERS_MAX, NAME_LENGTH_MAX, RECENT_CHANGES_MAX } from './limits.ts'
import type { RaftLog } from './log.ts'
import { nameOf } from './member-id.ts'
import type { Configuration, Entry, Snapshot } from './message.ts'
import { membersOf } from './quorum.ts'

/** A configuration with the index of the entry that made it. */
export type Configured = { readonly configuration: Configuration; readonly index: number }

/**
 * The configuration is a function of the log: the last entry that holds one counts as soon as it is appended (Raft thesis
 * §4.1), committed or not, and an older one counts again when that entry is overwritten.
 */
export function latestConfiguration(log: RaftLog, snapshot: Snapshot): Configured {
  return configurationAt(log, snapshot, log.baseIndex + log.entries.length)
}

/** What counted when the log ended with the entry at `index`. Of a snapshot's configuration only a bound of the index is known. */
export function configurationAt(log: RaftLog, snapshot: Snapshot, index: number): Configured {
  for (let at = index; at > snapshot.index && at > log.baseIndex; at -= 1) {
    const entry = log.entries[at - log.baseIndex - 1]
    if (entry?.kind === 'configuration') return { configuration: configurationOf(entry), index: at }
  }
  return { configuration: snapshot.configuration, index: snapshot.index }
}

export function encodeConfiguration(configuration: Configuration): string {
  return JSON.stringify(configurationFields(configuration))
}

/** `outgoing` is read by programs of protocol version 1, which knew joint configurations and never made one. */
export function configurationFields({ voters, learners, changes }: Configuration): Configuration & {
  readonly outgoing: readonly string[]
} {
  return { voters, outgoing: [], learners, ...(changes === undefined ? {} : { changes }) }
}

/** The configuration in an entry. Bodies are checked before they come into a log. */
export function configurationOf(entry: Entry): Configuration {
  const configuration = decodeConfiguration(entry.body)
  assert(configuration !== undefined, `Entry ${entry.index} holds no configuration`)
  return configuration
}

export function decodeConfiguration(body: string): Configuration | undefined {
  try {
    return parseConfiguration(JSON.parse(body))
  } catch {
    return undefined
  }
}

/** Reads a configuration from parsed JSON; `undefined` for anything else. */
export function parseConfiguration(value: unknown): Configuration | undefined {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return undefined
  const { voters, outgoing, learners, changes } = value as Readonly<Record<string, unknown>>
  if (!areNames(voters) || !areNames(outgoing) || !areNames(learners) || outgoing.length > 0) return undefined
  const members = [...voters, ...learners]
  // Two incarnations under one name could not be told apart by those who speak of names.
  const isUnique = new Set(members.map(nameOf)).size === members.length
  if (!isUnique || members.length > MEMBERS_MAX) return undefined
  if (changes === undefined) return { voters, learners }
  return areNames(changes) && changes.length <= RECENT_CHANGES_MAX ? { voters, learners, changes } : undefined
}

function areNames(value: unknown): value is readonly string[] {
  return (
    Array.isArray(value) &&
    value.every((name) => typeof name === 'string' && name !== '' && name.length <= NAME_LENGTH_MAX)
  )
}

/** The id under which a name takes part, in any role. */
export function memberNamed(configuration: Configuration, name: string): string | undefined {
  return membersOf(configuration).find((id) => nameOf(id) === name)
}
