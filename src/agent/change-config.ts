import type { ConfigChange, ConfigOutcome } from '../api/ports.ts'
import type { Keys } from '../ha/keys.ts'
import type { LocalInstance, Store } from '../ha/ports.ts'
import {
  dynamicObject,
  judgeDynamicConfig,
  mergePatch,
  parametersIn,
  type JsonObject,
} from '../model/dynamic-config.ts'
import { refused } from './refused.ts'

const WRITE_MS = 3000
/** A change that somebody else was faster with is merged anew: it names what it means. */
const TRIES = 5

export type ConfigDeps = {
  readonly store: Store
  readonly keys: Keys
  readonly instance: Pick<LocalInstance, 'judgeParameters'>
}

/** Changes what is set for the whole cluster, all or nothing. PostgreSQL of this node is asked about its parameters, if it answers. */
export async function changeConfig(
  { store, keys, instance }: ConfigDeps,
  change: ConfigChange,
): Promise<ConfigOutcome> {
  if (!store.status().hasQuorum) return refused('NO_QUORUM', 'No majority of voters answers')
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    await store.read(keys.config, { deadlineMs: WRITE_MS })
    const before = store.peek(keys.config)
    const config =
      change.kind === 'replace' ? change.config : mergePatch(dynamicObject(before?.value), change.patch)
    const own = judgeDynamicConfig(config)
    const problems = own.length > 0 ? own : await judgeByServer(instance, config)
    if (problems.length > 0) {
      return refused('INVALID', problems.map(({ key, rule }) => `"${key}" ${rule}`).join('; '))
    }
    const { succeeded } = await store.transact(
      {
        compares: [{ kind: 'mod', key: keys.config, revision: before?.modRevision ?? 0 }],
        operations: [{ kind: 'put', key: keys.config, value: JSON.stringify(config) }],
      },
      { deadlineMs: WRITE_MS },
    )
    if (succeeded) return { kind: 'done', config }
  }
  return refused('BUSY', `Others changed the settings ${TRIES} times meanwhile`)
}

async function judgeByServer(
  instance: ConfigDeps['instance'],
  config: JsonObject,
): Promise<ReturnType<typeof judgeDynamicConfig>> {
  const parameters = parametersIn(config)
  if (Object.keys(parameters).length === 0) return []
  const wrong = await instance.judgeParameters(parameters).catch(() => [])
  return wrong.map(({ name, rule }) => ({ key: `postgresql.parameters.${name}`, rule }))
}
