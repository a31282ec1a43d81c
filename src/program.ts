import { exit, setExitCode } from './platform/process.ts'

/*
 * Arguments to command, nothing else. Each process loads only what it needs: the agent and what it starts do not bring
 * the commands with them, and the guard is up in the time that Node takes to start.
 */

/** Runs one command line, without `node` and the path of the program. */
export async function runProgram(argv: readonly string[]): Promise<void> {
  // The agent and what it starts: when they are done nothing may keep the process alive.
  if (argv[0] === 'guard') return exit(await (await import('./agent/entry.ts')).runGuardProcess())
  if (argv[0] === 'router' && argv.length === 1)
    return exit(await (await import('./agent/entry.ts')).runRouterProcess())
  // As a supervisor starts the agent: that its lease is renewed in time must not wait for the commands.
  if (argv.length === 2 && argv[0] === '--config' && argv[1] !== undefined) {
    return exit(await (await import('./agent/entry.ts')).runAgent({ configPath: argv[1] }))
  }
  const { run, runPatronictl } = await import('./cli/run.ts')
  const { realWorld } = await import('./cli/world.ts')
  const world = realWorld({
    runAgent: async (options) => exit(await (await import('./agent/entry.ts')).runAgent(options)),
    describeServer: async (address) => (await import('./agent/running-server.ts')).describeServer(address),
  })
  const [first, ...rest] = argv
  const code = await (first === 'patronictl' ? runPatronictl(rest, world) : run(argv, world))
  // A command may have set one of its own.
  if (code !== 0) setExitCode(code)
}
