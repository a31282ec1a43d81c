import { Command, Option } from 'commander'
import { nearest } from '../std/nearest.ts'
import { visibleText } from '../std/visible-text.ts'
import { CommandFailure, EXIT } from './command-failure.ts'
import { connectCluster } from './connect.ts'
import { DSN_ROLES, dsnReport, type DsnRole } from './dsn-command.ts'
import { CONFIG_PATH_DEFAULT, findEndpoints } from './endpoints.ts'
import { historyReport } from './history-command.ts'
import { memberList } from './member-list.ts'
import { readConfig } from './read-config.ts'
import { FORMATS, printReport, type Format, type Report } from './report.ts'
import { switchover } from './switchover-command.ts'
import { versionLine, versionReport } from './version-command.ts'
import type { World } from './world.ts'

/** Options that stand before or after any command. */
type GlobalOptions = {
  readonly config?: string
  readonly url?: string
  readonly token?: string
  readonly format: Format
  readonly validate?: boolean
}

/** Tells the exit code to whoever runs the program: commander's actions return nothing. */
export type Finish = (code: number) => void

/** All commands but `demo`, which brings its own file, and the processes that the agent starts (see main.ts). */
export function createProgram(world: World, finish: Finish): Command {
  const program = new Command('pg-metako')
    .description('PostgreSQL high availability in one program per node. Without a command: runs the agent.')
    .version(versionLine(), '-v, --version', 'print the version')
    .option('-c, --config <file>', `configuration of this node (default: ${CONFIG_PATH_DEFAULT})`)
    .option('--validate', 'check the configuration, print it with the origin of each value, and end')
    .option('--url <url>', "an agent's API; several with commas (environment: PG_METAKO_URL)")
    .option('--token <token>', 'opens changes; better PG_METAKO_TOKEN, which ps does not show')
    .addOption(new Option('-f, --format <format>', 'form of the output').choices(FORMATS).default('pretty'))
    .allowExcessArguments()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void world.stdout.write(text),
      writeErr: (text) => void world.stderr.write(text),
      // What went wrong is printed once, by the one who runs the program.
      outputError: () => undefined,
    })
  program.action(async (options: GlobalOptions) => {
    refuseUnknownCommand(program)
    finish(await runOrValidate(options, world))
  })
  addClusterCommands(program, world)
  return program
}

function refuseUnknownCommand(program: Command): void {
  const [name] = program.args
  if (name === undefined) return
  const meant = nearest(
    name,
    program.commands.map((command) => command.name()),
  )
  throw new CommandFailure(
    EXIT.wrongUsage,
    `Cannot run "${visibleText(name, 40)}": there is no such command`,
    meant === undefined ? 'See "pg-metako --help"' : `Did you mean "${meant}"?`,
  )
}

async function runOrValidate(options: GlobalOptions, world: World): Promise<number> {
  const configPath = options.config ?? CONFIG_PATH_DEFAULT
  if (options.validate !== true) return await world.runAgent({ configPath })
  const { describeConfig } = await import('../config/describe-config.ts')
  const loaded = await readConfig(configPath, world)
  const sink = loaded.kind === 'ok' ? world.stdout : world.stderr
  sink.write(`${describeConfig(loaded).trimEnd()}\n`)
  return loaded.kind === 'ok' ? EXIT.done : EXIT.wrongUsage
}

function addClusterCommands(program: Command, world: World): void {
  const add = (name: string) => program.command(name).hook('preAction', () => world.endWithPipe())
  const show = async (command: Command, report: (options: GlobalOptions) => Promise<Report>) => {
    const options = command.optsWithGlobals<GlobalOptions>()
    printReport(await report(options), options.format, world)
  }
  const viewOf = async (options: GlobalOptions) =>
    (await connectCluster(await findEndpoints(options, world))).view

  add('list')
    .description('the members: role, state, timeline, lag, and what is worth knowing')
    .action((_options, command: Command) =>
      show(command, async (options) => memberList(await viewOf(options), { asTree: false })),
    )
  add('topology')
    .description('the same as a tree: who streams from whom')
    .action((_options, command: Command) =>
      show(command, async (options) => memberList(await viewOf(options), { asTree: true })),
    )
  add('history')
    .description('every change of primary: when, why, by what right, and what was lost')
    .action((_options, command: Command) =>
      show(command, async (options) => {
        const { view } = await connectCluster(await findEndpoints(options, world))
        return historyReport({ epochs: view.history, losses: view.losses }, view.scope)
      }),
    )
  addSwitchover(add('switchover'), world)
  addDsn(add('dsn'), world, viewOf)
  add('version')
    .description('the version of this program and of what runs on every member')
    .action((_options, command: Command) =>
      show(command, async (options) => versionReport(await viewOf(options).catch(withoutCluster))),
    )
}

/** Where no cluster is named, this program's own version is the answer. One that is named and silent is an error. */
function withoutCluster(error: unknown): undefined {
  if (error instanceof CommandFailure && error.exitCode === EXIT.wrongUsage) return undefined
  throw error
}

function addSwitchover(command: Command, world: World): void {
  type Options = GlobalOptions & {
    readonly leader?: string
    readonly primary?: string
    readonly candidate?: string
    readonly force?: boolean
  }
  command
    .description('make another member the primary, without losing a transaction')
    .option('--leader <member>', 'do it only if this member is the primary')
    .addOption(new Option('--primary <member>', 'the same as --leader').hideHelp())
    .option('--candidate <member>', 'who becomes the primary; else the best standby')
    .option('--force', 'do not ask')
    .action(async () => {
      const options = command.optsWithGlobals<Options>()
      await switchover(
        await findEndpoints(options, world),
        {
          leader: options.leader ?? options.primary,
          candidate: options.candidate,
          force: options.force === true,
          format: options.format,
        },
        world,
      )
    })
}

function addDsn(
  command: Command,
  world: World,
  viewOf: (options: GlobalOptions) => Promise<Parameters<typeof dsnReport>[0]>,
): void {
  type Options = GlobalOptions & { readonly role: DsnRole; readonly member?: string }
  command
    .description('where applications connect to: all routers, the nearest first')
    .addOption(
      new Option('-r, --role <role>', 'which port of the routers').choices(DSN_ROLES).default('primary'),
    )
    .option('-m, --member <member>', "this member's PostgreSQL itself, past the routers")
    .action(async () => {
      const options = command.optsWithGlobals<Options>()
      const report = dsnReport(await viewOf(options), options)
      // A connection string is pasted or captured: without a frame around it.
      if (options.format === 'pretty')
        world.stdout.write(`${visibleText(report.table.rows[0]?.[0] as string, 2_000)}\n`)
      else printReport(report, options.format, world)
    })
}
