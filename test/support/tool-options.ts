import { parseArgs, type ParseArgsConfig } from 'node:util'

type Values<T extends ParseArgsConfig> = ReturnType<typeof parseArgs<T>>['values']

/** The options of a tool of this repository; a wrong one, or `--help`, ends it with those that there are. */
export function toolOptions<T extends ParseArgsConfig>(tool: string, config: T): Values<T> {
  try {
    return parseArgs(config).values
  } catch (error) {
    const options = Object.entries(config.options ?? {})
    const words = options.map(([name, { type }]) => (type === 'boolean' ? `--${name}` : `--${name} VALUE`))
    const message = error instanceof Error ? error.message : String(error)
    process.stderr.write(`Cannot run ${tool}: ${message}\noptions: ${words.join(' ')}\n`)
    process.exit(2)
  }
}
