import type { LoadedConfig } from '../config/load-config.ts'
import { existsSync, namesInFolder, readFileSync } from '../platform/disk.ts'
import type { World } from './world.ts'

/**
 * Reads a config file and what it includes. Never rejects for what a file holds: that is a problem in the result.
 * The schema is loaded here and not before: a command that needs no config starts without it.
 */
export async function readConfig(path: string, world: World): Promise<LoadedConfig> {
  const { loadConfig } = await import('../config/load-config.ts')
  return loadConfig({
    path,
    readText: (file) => {
      try {
        return readFileSync(file, 'utf8')
      } catch {
        return undefined
      }
    },
    listFolder: namesInFolder,
    fileExists: existsSync,
    env: world.env,
    cwd: world.cwd,
  })
}
