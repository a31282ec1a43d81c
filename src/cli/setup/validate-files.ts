import type { NodeConfig } from '../../config/node-config.ts'
import { join } from '../../platform/disk.ts'
import { CommandFailure, EXIT } from '../command-failure.ts'
import { NODE_FILE, type PlannedFile } from './node-files.ts'

/** Where the README, the unit and every hint of ours expect a node's files. */
export const CONFIG_FOLDER = '/etc/pg-metako'

/**
 * Reads what is going to be written with the loader that the agent uses, before anything is: a config of ours that it would
 * refuse must never lie on a disk.
 */
export async function validateFiles(files: readonly PlannedFile[]): Promise<NodeConfig> {
  const { loadConfig } = await import('../../config/load-config.ts')
  const texts = new Map(files.map(({ path, text }) => [join(CONFIG_FOLDER, path), text]))
  const loaded = loadConfig({
    path: join(CONFIG_FOLDER, NODE_FILE),
    readText: (path) => texts.get(path),
    env: {},
    cwd: CONFIG_FOLDER,
  })
  if (loaded.kind === 'ok') return loaded.config
  const first = loaded.problems.find(({ severity }) => severity === 'error')
  const value = first?.value === undefined ? '' : ` "${first.value}"`
  throw new CommandFailure(
    EXIT.wrongUsage,
    `Cannot use ${first?.key ?? 'the configuration'}${value}: ${first?.rule ?? 'it has problems'}`,
    first?.remedy,
  )
}
