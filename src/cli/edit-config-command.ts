import type { Client, DynamicConfigDocument, MemberFacts } from '#client'
import { isObject, mergePatch, parametersIn, type JsonObject } from '../model/dynamic-config.ts'
import { monotonicMs } from '../platform/clock.ts'
import { SECOND } from '../std/units.ts'
import { visibleText } from '../std/visible-text.ts'
import { confirm, outcomeUnknown } from './ask-first.ts'
import { awaitView } from './await-view.ts'
import { CommandFailure, EXIT } from './command-failure.ts'
import { connectForChange } from './connect.ts'
import type { Endpoints } from './endpoints.ts'
import { plainReport, printReport, type Format } from './report.ts'
import type { World } from './world.ts'

export type EditOptions = {
  /** `NAME=VALUE`, names with dots between; without a value: takes it away. */
  readonly set: readonly string[]
  /** The same for a parameter of PostgreSQL. */
  readonly pg: readonly string[]
  readonly force: boolean
  readonly format: Format
}

/** Members look at a new setting at once; one that stands still does later. */
const TAKEN_IN_MS = 10 * SECOND
/** Agents ask PostgreSQL twice a second what waits for a restart. */
const SAID_AFTER_MS = 1.5 * SECOND

/** Changes what is set for the whole cluster: shows what will change, asks, does it, and says what waits for a restart. */
export async function editConfig(endpoints: Endpoints, options: EditOptions, world: World): Promise<void> {
  const patch = patchOf(options)
  const { client } = await connectForChange(endpoints)
  const before = await client.dynamicConfig()
  const changes = changesOf(flatten(before), flatten(mergePatch(before, patch)))
  if (changes.length === 0)
    throw new CommandFailure(EXIT.failed, 'Nothing is changed: all of it is set so already')
  if (!options.force) {
    const question = 'Change this for the whole cluster?'
    await confirm({ whether: 'change the settings', shown: { lines: changes }, question }, world)
  }
  const after = await client
    .patchConfig(patch)
    .catch(outcomeUnknown('The change', 'Look at "pg-metako show-config" before trying again'))
  const { waiting, kept } = await becameOf(client, Object.keys(parametersIn(patch)))
  if (options.format !== 'pretty') {
    const rows = [['setting', 'value'], ...[...flatten(after)].map(([name, value]) => [name, value])]
    return printReport(
      plainReport({ config: after, waitsForRestart: waiting, keptByOwnFile: kept }, rows),
      options.format,
      world,
    )
  }
  world.stdout.write(
    `Changed ${changes.length} setting${changes.length === 1 ? '' : 's'} of the whole cluster.\n`,
  )
  for (const { member, parameters } of waiting)
    world.stdout.write(
      `${visibleText(`On "${member}" waits for a restart: ${parameters.join(', ')}`, 1_000)}\n`,
    )
  for (const { member, parameters } of kept)
    world.stdout.write(
      `${visibleText(`On "${member}" its own file decides, and says otherwise: ${parameters.join(', ')}`, 1_000)}\n`,
    )
  if (waiting.length > 0) world.stdout.write('To have it in force: pg-metako restart --pending\n')
}

function patchOf({ set, pg }: EditOptions): JsonObject {
  const words = [
    ...set.map((word) => ({ word, under: '' })),
    ...pg.map((word) => ({ word, under: 'postgresql.parameters' })),
  ]
  if (words.length === 0) {
    throw new CommandFailure(
      EXIT.wrongUsage,
      'Nothing to change was named',
      'Such as: pg-metako edit-config --pg max_connections=200, or --set pause=true',
    )
  }
  let patch: JsonObject = {}
  for (const { word, under } of words) {
    const at = word.indexOf('=')
    if (at <= 0) {
      throw new CommandFailure(
        EXIT.wrongUsage,
        `Cannot read "${visibleText(word, 60)}": wanted NAME=VALUE`,
        'NAME= takes it away',
      )
    }
    // A parameter's own name may have a dot: it is one key.
    const path = under === '' ? word.slice(0, at).split('.') : [...under.split('.'), word.slice(0, at)]
    patch = put(patch, path, valueOf(word.slice(at + 1)))
  }
  return patch
}

/** As YAML would read it: numbers and truth are such. */
function valueOf(text: string): unknown {
  if (text === '' || text === 'null') return null
  if (text === 'true' || text === 'false') return text === 'true'
  return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text
}

/** `null` stays: it says what is taken away. */
function put(into: JsonObject, [first = '', ...rest]: readonly string[], value: unknown): JsonObject {
  const inner = into[first]
  return { ...into, [first]: rest.length === 0 ? value : put(isObject(inner) ? inner : {}, rest, value) }
}

/** One entry a setting, by its whole name. */
function flatten(config: DynamicConfigDocument, prefix = ''): ReadonlyMap<string, string> {
  const flat = new Map<string, string>()
  for (const [key, value] of Object.entries(config)) {
    const name = `${prefix}${key}`
    if (isObject(value)) for (const [inner, text] of flatten(value, `${name}.`)) flat.set(inner, text)
    else flat.set(name, JSON.stringify(value))
  }
  return flat
}

function changesOf(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): readonly string[] {
  const names = [...new Set([...before.keys(), ...after.keys()])].toSorted()
  return names.flatMap((name) => {
    const [was, is] = [before.get(name), after.get(name)]
    if (was === is) return []
    return [`  ${name}: ${was ?? 'not set'} -> ${is ?? 'not set'}`]
  })
}

type Of = { readonly member: string; readonly parameters: readonly string[] }

/**
 * Who waits for a restart, and where the node's own file decides. Looks until everybody who is heard has taken the change in, and a moment
 * longer, since PostgreSQL says later what waits.
 */
async function becameOf(
  client: Client,
  changed: readonly string[],
): Promise<{ readonly waiting: readonly Of[]; readonly kept: readonly Of[] }> {
  let waiting: readonly Of[] = []
  let kept: readonly Of[] = []
  if (changed.length === 0) return { waiting, kept }
  let takenInAt: number | undefined
  await awaitView(client, TAKEN_IN_MS, ({ members }) => {
    const reached = members.filter(({ reachable, facts }) => reachable && !facts.witness)
    const those = (of: (facts: MemberFacts) => readonly string[] | undefined): readonly Of[] =>
      reached.flatMap(({ facts }) => {
        const parameters = of(facts) ?? []
        return parameters.length > 0 ? [{ member: facts.name, parameters }] : []
      })
    waiting = those(({ instance }) => instance.pendingRestart)
    kept = those(({ keptParameters = [] }) => keptParameters.filter((name) => changed.includes(name)))
    if (reached.some(({ facts }) => facts.unconfigured)) takenInAt = undefined
    else takenInAt ??= monotonicMs()
    return takenInAt !== undefined && monotonicMs() - takenInAt >= SAID_AFTER_MS
  })
  return { waiting, kept }
}
