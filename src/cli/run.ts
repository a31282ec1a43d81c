/**
 * The command line: arguments in, text and an exit code out. Commands know the cluster only through the API and the
 * client; nothing here decides anything about it. Every error is one line and a hint, and the exit codes are fixed
 * (0 done, 1 refused or failed, 2 wrong usage or config, 3 not reachable): scripts depend on them.
 */
import { CommanderError, type Command } from 'commander'
import { CommandFailure, EXIT, failureOf } from './command-failure.ts'
import { createProgram } from './program.ts'
import type { World } from './world.ts'

/** Runs one command line (without `node` and the program's path) and resolves with the exit code; never rejects. */
export async function run(argv: readonly string[], world: World): Promise<number> {
  let exitCode: number = EXIT.done
  const program = createProgram(world, (code) => (exitCode = code))
  try {
    await addDemo(program, argv)
    await program.parseAsync([...argv], { from: 'user' })
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.done
    return tell(error instanceof CommanderError ? usageFailure(error) : failureOf(error), world)
  }
}

/** The same for `patronictl`, whose words are Patroni's. */
export async function runPatronictl(argv: readonly string[], world: World): Promise<number> {
  const { createPatronictl } = await import('./patronictl/patronictl-program.ts')
  try {
    await createPatronictl(world).parseAsync([...argv], { from: 'user' })
    return EXIT.done
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.done
    const failure = error instanceof CommanderError ? usageFailure(error) : failureOf(error)
    world.stderr.write(`Error: ${failure.message}\n`)
    if (failure.hint !== undefined) world.stderr.write(`hint: ${failure.hint}\n`)
    return failure.exitCode
  }
}

/** The demo brings much with it that nothing else needs: it is loaded when it or the help is asked for. */
async function addDemo(program: Command, argv: readonly string[]): Promise<void> {
  if (!argv.some((word) => ['demo', 'help', '--help', '-h'].includes(word))) return
  const { registerDemo } = await import('./demo/demo-command.ts')
  registerDemo(program)
}

/** Commander's sentences, in the form of ours. */
function usageFailure(error: CommanderError): CommandFailure {
  const [line = '', ...more] = error.message.replace(/^error: /, '').split('\n')
  const hint = more.join(' ').replace(/^\((.*)\)$/, '$1') || 'See "pg-metako --help"'
  return new CommandFailure(EXIT.wrongUsage, `Cannot read the command line: ${line}`, hint)
}

function tell(failure: CommandFailure, world: World): number {
  world.stderr.write(`pg-metako: ${failure.message}\n`)
  if (failure.hint !== undefined) world.stderr.write(`hint: ${failure.hint}\n`)
  return failure.exitCode
}
