import { loadConfig, type LoadedConfig } from '../config/load-config.ts'
import { existsSync, readFileSync } from '../platform/disk.ts'
import type { World } from './world.ts'

/** Reads a config file and what it includes. Never throws: what cannot be read is a problem in the result. */
export function readConfig(path: string, world: World): LoadedConfig {
  return loadConfig({
    path,
    readText: (file) => {
      try {
        return readFileSync(file, 'utf8')
      } catch {
        return undefined
      }
    },
    fileExists: existsSync,
    env: world.env,
    cwd: world.cwd,
  })
}
