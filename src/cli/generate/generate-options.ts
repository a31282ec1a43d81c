import type { Command } from 'commander'
import type { World } from '../world.ts'

/** As the command line has them: a name of a file, or none. */
export type GenerateWords = {
  readonly generateConfig?: string | true
  readonly generateSampleConfig?: string | true
  readonly dsn?: string
}

export function addGenerateOptions(program: Command): Command {
  return program
    .option('--generate-sample-config [file]', "a configuration in Patroni's form that starts, and end")
    .option('--generate-config [file]', 'the same with what a running PostgreSQL has set, and end')
    .option('--dsn <dsn>', 'which PostgreSQL that is (default: as for psql)')
}

/** Writes what was asked for; false where nothing was. */
export async function generateWanted(options: GenerateWords, world: World): Promise<boolean> {
  const wanted = options.generateSampleConfig ?? options.generateConfig
  if (wanted === undefined) return false
  const { generateConfig, generateSampleConfig } = await import('./generate-config.ts')
  const generate = options.generateSampleConfig === undefined ? generateConfig : generateSampleConfig
  await generate({ file: wanted === true ? undefined : wanted, dsn: options.dsn }, world)
  return true
}
