import type { DynamicConfigDocument } from '#client'
import { Command, Option } from 'commander'
import { keepHeapSmall } from '../platform/process.ts'
import { nearest } from '../std/nearest.ts'
import { visibleText } from '../std/visible-text.ts'
import { CommandFailure, EXIT } from './command-failure.ts'
import { connectCluster } from './connect.ts'
import { DSN_ROLES, dsnReport, type DsnRole } from './dsn-command.ts'
import { editConfig } from './edit-config-command.ts'
import { CONFIG_PATH_DEFAULT, findEndpoints } from './endpoints.ts'
import { eventsReport, followEvents } from './events-command.ts'
import { explainReport } from './explain-command.ts'
import type { GlobalOptions } from './global-options.ts'
import { addGenerateOptions, generateWanted } from './generate/generate-options.ts'
import { historyReport } from './history-command.ts'
import { addHold } from './add-hold.ts'
import { memberList } from './member-list.ts'
import { joinCluster } from './member/join-command.ts'
import { addMember as addMemberTo, listMembers, removeMember } from './member/member-commands.ts'
import { confirmDown } from './confirm-down-command.ts'
import { pause } from './pause-command.ts'
import { readConfig } from './read-config.ts'
import { reinit } from './reinit-command.ts'
import { restartRouter } from './restart-router-command.ts'
import { FORMATS, plainReport, printReport, type Report } from './report.ts'
import { restart } from './restart-command.ts'
import { DATA_DIR_DEFAULT, init, OUT_DEFAULT, SCOPE_DEFAULT, type InitOptions } from './setup/init-command.ts'
import { API_PORT_DEFAULT } from './setup/parse-nodes.ts'
import { CONFIG_FOLDER } from './setup/validate-files.ts'
import { switchover } from './switchover-command.ts'
import { versionLine, versionReport } from './version-command.ts'
import { whyReport } from './why-command.ts'
import type { World } from './world.ts'
import { yamlText } from './yaml-text.ts'

/** Tells the exit code to whoever runs the program: commander's actions return nothing. */
export type Finish = (code: number) => void

/** All commands but `demo`, which brings its own file, and the processes that the agent starts (see main.ts). */
export function createProgram(world: World, finish: Finish): Command {
  const program = new Command('pg-metako')
    .description('PostgreSQL high availability in one program per node. Without a command: runs the agent.')
    .version(versionLine(), '-v, --version', 'print the version')
    .option('-c, --config <file>', `configuration of this node (default: ${CONFIG_PATH_DEFAULT})`)
    .option('--validate', 'check the configuration, print it with the origin of each value, and end')
    .addOption(new Option('--validate-config', 'the same as --validate').hideHelp())
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
  addGenerateOptions(program).action(async (options: GlobalOptions) => {
    refuseUnknownCommand(program)
    finish(await runOrValidate(options, world))
  })
  addClusterCommands(program, world, finish)
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
  if (await generateWanted(options, world)) return EXIT.done
  const configPath = options.config ?? CONFIG_PATH_DEFAULT
  if (options.validate !== true && options.validateConfig !== true)
    return await world.runAgent({ configPath })
  const { describeConfig } = await import('../config/describe-config.ts')
  const loaded = await readConfig(configPath, world)
  const sink = loaded.kind === 'ok' ? world.stdout : world.stderr
  sink.write(`${describeConfig(loaded).trimEnd()}\n`)
  return loaded.kind === 'ok' ? EXIT.done : EXIT.wrongUsage
}

/** The same agent as on every node, in less memory; named so that nobody starts a database on the host of the third vote by mistake. */
async function runWitness(options: GlobalOptions, world: World): Promise<number> {
  // Order: before the agent is loaded.
  keepHeapSmall()
  const configPath = options.config ?? CONFIG_PATH_DEFAULT
  const loaded = await readConfig(configPath, world)
  // One that is refused is told by the agent, with all that is wrong with it.
  if (loaded.kind === 'ok' && loaded.config.localDb.roleHint !== 'witness') {
    throw new CommandFailure(
      EXIT.wrongUsage,
      `Cannot run as a witness: ${configPath} describes a node with a database`,
      'Write "role: witness" at this node in cluster_members, on all nodes, or under local_db: here',
    )
  }
  return await world.runAgent({ configPath })
}

function addClusterCommands(program: Command, world: World, finish: Finish): void {
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
    .description(
      'every change of primary: when, why, by what right, what was lost, and how long each step took',
    )
    .action((_options, command: Command) =>
      show(command, async (options) => {
        const { client } = await connectCluster(await findEndpoints(options, world))
        return historyReport(await client.epochs())
      }),
    )
  program
    .command('witness')
    .description('run this node as the third vote beside two databases: needs no PostgreSQL')
    .action(async (_options, command: Command) => {
      finish(await runWitness(command.optsWithGlobals<GlobalOptions>(), world))
    })
  addExplain(add('explain'), world)
  addEvents(add('events'), world)
  addWhy(add('why'), world)
  addDoctor(add('doctor'), world, finish)
  addSwitchover(add('switchover'), world)
  addMemberOrder(add('reinit'), world, {
    description: 'replace the data of a standby by a new clone of the primary',
    order: reinit,
  })
  addHold(add, world)
  addMemberOrder(add('confirm-down'), world, {
    description: 'say that the PostgreSQL of a lost primary does not run, where the others wait to be told',
    order: confirmDown,
  })
  addRestart(add('restart'), world)
  addMember(add('member'), world)
  addRouter(add('router'), world)
  addPause(add, world)
  addSetup(add, world)
  addDsn(add('dsn'), world)
  addClassify(add('classify'), world)
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

function addExplain(command: Command, world: World): void {
  command
    .description(
      'one change of primary, step by step: what happened when, where the time went, who was not chosen',
    )
    .argument('[epoch]', 'which one, see "pg-metako history"; else the newest')
    .action(async (text: string | undefined) => {
      const options = command.optsWithGlobals<GlobalOptions>()
      const { client } = await connectCluster(await findEndpoints(options, world))
      const epoch = text === undefined ? undefined : readEpoch(text)
      printReport(explainReport(await client.epochs(), epoch), options.format, world)
    })
}

function readEpoch(text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text)
  throw new CommandFailure(
    EXIT.wrongUsage,
    `Cannot read the epoch "${visibleText(text, 20)}": wanted a number`,
  )
}

function addEvents(command: Command, world: World): void {
  command
    .description('what changed in the last quarter of an hour, as one agent saw it')
    .option('--follow', 'and what changes from now on, a line each, until Ctrl-C')
    .action(async () => {
      const options = command.optsWithGlobals<GlobalOptions & { follow?: boolean }>()
      const endpoints = await findEndpoints(options, world)
      if (options.follow !== true) return printReport(await eventsReport(endpoints), options.format, world)
      await followEvents(endpoints, { format: options.format }, world)
    })
}

function addWhy(command: Command, world: World): void {
  command
    .description('why things are as they are: why there is no failover, why a member would not take over, …')
    .argument('[member]', 'everything about this one; else the whole cluster, a line a question')
    .addHelpText(
      'after',
      '\nExamples:\n  pg-metako why\n  pg-metako why n3\n  pg-metako why --format json | jq -r ".answers[] | select(.isWell | not) | .sentence"',
    )
    .action(async (member: string | undefined) => {
      const options = command.optsWithGlobals<GlobalOptions>()
      printReport(await whyReport(await findEndpoints(options, world), member), options.format, world)
    })
}

function addDoctor(command: Command, world: World, finish: Finish): void {
  command
    .description(
      'look for what is wrong, before and in production: each finding with its evidence and the fix',
    )
    .option('--all', 'show what is well, too')
    .addHelpText(
      'after',
      '\nExamples:\n  pg-metako doctor\n  pg-metako doctor --config /etc/pg-metako/node.yaml   before the agent of this host is started\n\nExit code: 0 nothing worse than a note, 1 warnings, 2 errors, 3 nobody answers.',
    )
    .action(async () => {
      const options = command.optsWithGlobals<GlobalOptions & { all?: boolean }>()
      // It brings checks and the schema of configurations with it, which other commands do not need.
      const { doctor } = await import('./doctor/doctor-command.ts')
      finish(await doctor({ ...options, isAll: options.all === true }, world))
    })
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

/** A command that does one thing to one member, after a question. */
function addMemberOrder(
  command: Command,
  world: World,
  {
    description,
    order,
  }: { readonly description: string; readonly order: typeof reinit | typeof confirmDown },
): void {
  command
    .description(description)
    .argument('<member>')
    .option('--force', 'do not ask')
    .action(async (name: string) => {
      const options = command.optsWithGlobals<GlobalOptions & { force?: boolean }>()
      await order(
        await findEndpoints(options, world),
        { name, force: options.force === true, format: options.format },
        world,
      )
    })
}

function addRestart(command: Command, world: World): void {
  type Options = GlobalOptions & { role?: 'primary' | 'replica'; pending?: boolean; force?: boolean }
  command
    .description('restart PostgreSQL of members, one after the other: standbys first, the primary last')
    .argument('[members...]', 'else all of them')
    .addOption(new Option('-r, --role <role>', 'only members of this role').choices(['primary', 'replica']))
    .option('--pending', 'only where a setting waits for it')
    .option('--force', 'do not ask')
    .action(async (names: readonly string[]) => {
      const options = command.optsWithGlobals<Options>()
      const { role, pending = false, force = false, format } = options
      await restart(await findEndpoints(options, world), { names, role, pending, force, format }, world)
    })
}

/** What is set for the whole cluster while it runs. */
function addPause(add: (name: string) => Command, world: World): void {
  const order = (name: string, description: string, paused: boolean) =>
    add(name)
      .description(description)
      .option('--wait', 'end when every member has taken it in')
      .action(async (_options, command: Command) => {
        const options = command.optsWithGlobals<GlobalOptions & { wait?: boolean }>()
        const { format, wait = false } = options
        await pause(await findEndpoints(options, world), { paused, wait, format }, world)
      })
  order('pause', 'let nobody take over, start or stop anything by itself: for work on the hosts', true)
  order('resume', 'end the pause', false)
  const gather = (word: string, before: readonly string[]) => [...before, word]
  add('edit-config')
    .description('change what is set for the whole cluster while it runs: shows what changes, and asks')
    .option('-s, --set <name=value>', 'a setting; without a value: take it away; may be repeated', gather, [])
    .option('-p, --pg <name=value>', 'the same for a parameter of PostgreSQL', gather, [])
    .option('--force', 'do not ask')
    .action(async (_options, command: Command) => {
      type Options = GlobalOptions & { set: readonly string[]; pg: readonly string[]; force?: boolean }
      const options = command.optsWithGlobals<Options>()
      const { set, pg, force = false, format } = options
      await editConfig(await findEndpoints(options, world), { set, pg, force, format }, world)
    })
  add('show-config')
    .description('what is set for the whole cluster while it runs')
    .action(async (_options, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>()
      const { client } = await connectCluster(await findEndpoints(options, world))
      const config = await client.dynamicConfig()
      if (options.format === 'pretty') world.stdout.write(yamlText(config))
      else printReport(plainReport(config, settingRows(config)), options.format, world)
    })
}

function settingRows(config: DynamicConfigDocument): readonly (readonly string[])[] {
  const rows = Object.entries(config).map(([name, value]) => [name, JSON.stringify(value)])
  return [['setting', 'value'], ...rows]
}

function addRouter(command: Command, world: World): void {
  command.description("a node's router: the processes that carry clients' bytes")
  command
    .command('restart')
    .description(
      'start a new router in the place of the one that runs, without dropping clients: for a new version or new settings',
    )
    .argument('[member]', 'whose; else of the node that is asked first, which is this one')
    .action(async (name: string | undefined, _options, own: Command) => {
      const options = own.optsWithGlobals<GlobalOptions>()
      await restartRouter(await findEndpoints(options, world), { name, format: options.format }, world)
    })
}

function addMember(command: Command, world: World): void {
  command.description('who belongs to the cluster: list, add, remove; no restart, no change of config')
  command
    .command('list')
    .description('the members: their part in consensus, state, address, when they were last heard')
    .action(async (_options, own: Command) => {
      const options = own.optsWithGlobals<GlobalOptions>()
      printReport(await listMembers(await findEndpoints(options, world)), options.format, world)
    })
  command
    .command('add <name>')
    .description('invite a node: prints the command that joins it, good once and for an hour')
    .requiredOption('--api-host <address>', 'where the other nodes reach its agent')
    .option('--api-port <port>', 'port of its API', String(API_PORT_DEFAULT))
    .action(async (name: string, _options, own: Command) => {
      const options = own.optsWithGlobals<GlobalOptions & { apiHost: string; apiPort: string }>()
      await addMemberTo(
        await findEndpoints(options, world),
        { name, apiHost: options.apiHost, apiPort: readPort(options.apiPort), format: options.format },
        world,
      )
    })
  command
    .command('remove <name>')
    .description('take a node out: it stops its PostgreSQL and keeps its data; also one that is dead')
    .option('--force', 'do not ask')
    .action(async (name: string, _options, own: Command) => {
      const options = own.optsWithGlobals<GlobalOptions & { force?: boolean }>()
      await removeMember(
        await findEndpoints(options, world),
        { name, force: options.force === true, format: options.format },
        world,
      )
    })
}

function readPort(text: string): number {
  const port = Number(text)
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port
  throw new CommandFailure(
    EXIT.wrongUsage,
    `Cannot read --api-port "${visibleText(text, 20)}": wanted a port from 1 to 65535`,
  )
}

function addSetup(add: (name: string) => Command, world: World): void {
  add('init')
    .description('write the files of a new cluster: a folder for each node, with config, secrets and unit')
    .requiredOption('--nodes <list>', 'NAME=ADDRESS with commas between: n1=10.0.0.1,n2=10.0.0.2,n3=10.0.0.3')
    .option('--witness <node>', 'one more, NAME=ADDRESS, that votes beside two nodes and has no database')
    .option('--scope <name>', 'name of the cluster', SCOPE_DEFAULT)
    .option('--data-dir <path>', "PostgreSQL's data directory on every node", DATA_DIR_DEFAULT)
    .option('--out <folder>', 'where to write them', OUT_DEFAULT)
    .action(async (_options, own: Command) => {
      await init(own.optsWithGlobals<GlobalOptions & InitOptions>(), world)
    })
  add('join')
    .description('make this host a node of the cluster that invited it: see "pg-metako member add"')
    .option('--ca <file>', 'certificates to trust, where the members speak TLS')
    .option('--data-dir <path>', "PostgreSQL's data directory on this node", DATA_DIR_DEFAULT)
    .option('--witness', 'this node votes and has no database')
    .option('--out <folder>', 'where to write its config; with --config that one is kept', CONFIG_FOLDER)
    .action(async (_options, own: Command) => {
      type Options = GlobalOptions & { ca?: string; dataDir: string; out: string; witness?: true }
      const options = own.optsWithGlobals<Options>()
      const { url = world.env['PG_METAKO_URL'], token = world.env['PG_METAKO_TOKEN'] } = options
      if (!url || !token) {
        throw new CommandFailure(
          EXIT.wrongUsage,
          `Cannot join without ${url ? '--token' : '--url'}`,
          'Run "pg-metako member add NAME --api-host ADDRESS" on a member: it prints the whole command',
        )
      }
      const urls = (await findEndpoints({ url, token }, world)).list.map((endpoint) => endpoint.url)
      await joinCluster({ ...options, urls, token }, world)
    })
}

function addDsn(command: Command, world: World): void {
  type Options = GlobalOptions & { readonly role: DsnRole; readonly member?: string }
  command
    .description('where applications connect to: all routers, the nearest first')
    .addOption(
      new Option('-r, --role <role>', 'which port of the routers').choices(DSN_ROLES).default('primary'),
    )
    .option('-m, --member <member>', "this member's PostgreSQL itself, past the routers")
    .action(async () => {
      const options = command.optsWithGlobals<Options>()
      const endpoints = await findEndpoints(options, world)
      const { view } = await connectCluster(endpoints)
      const report = dsnReport(view, { ...options, application: endpoints.application })
      // A connection string is pasted or captured: without a frame around it.
      if (options.format === 'pretty')
        world.stdout.write(`${visibleText(report.table?.rows[0]?.[0] as string, 2_000)}\n`)
      else printReport(report, options.format, world)
    })
}

/** More than any statement that somebody wrote, and little enough to be read at once. */
const SQL_BYTES_MAX = 16 * 1024 * 1024

function addClassify(command: Command, world: World): void {
  command
    .description('what the router would say of SQL: read or write, why, and what it does to its session')
    .argument('[sql]', 'one or more statements, as one simple query; else standard input')
    .option('--no-standard-strings', 'read it as a session with standard_conforming_strings = off')
    .action(async (sql: string | undefined) => {
      const { format, standardStrings } = command.optsWithGlobals<
        GlobalOptions & { standardStrings: boolean }
      >()
      const text = sql ?? (await world.readInput(SQL_BYTES_MAX))
      if (text === undefined) {
        throw new CommandFailure(
          EXIT.wrongUsage,
          `Cannot read the SQL: it has more than ${SQL_BYTES_MAX} bytes`,
        )
      }
      // The grammar takes longer to load than all other commands together.
      const { classifyReport } = await import('./classify-command.ts')
      printReport(await classifyReport({ text, standardStrings }), format, world)
    })
}
