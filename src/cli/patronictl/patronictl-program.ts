import { Command, Option } from 'commander'
import { homedir, existsSync, join } from '../../platform/disk.ts'
import { packageVersion } from '../../platform/package-version.ts'
import { pause as sleep } from '../../platform/timers.ts'
import { SECOND } from '../../std/units.ts'
import { connectCluster } from '../connect.ts'
import { findEndpoints } from '../endpoints.ts'
import type { World } from '../world.ts'
import { yamlText } from '../yaml-text.ts'
import { printMembers } from './members.ts'
import { CTL_ROLES, withRole } from './asking.ts'
import { seenThrough, type CtlContext } from './context.ts'
import { move, reinitialise, reload, restart, setPaused, timestamp } from './orders.ts'
import { flush } from './scheduled.ts'
import { CTL_FORMATS, printTable, refuse, type CtlFormat } from './output.ts'

/** Commands of `patronictl` that can do nothing here, each with what its users are told. */
const ABSENT: Readonly<Record<string, readonly [why: string, instead: string]>> = {
  query: ['SQL is not run from here', 'psql "$(patronictl dsn)"'],
  remove: [
    'a cluster is not removed from its store by a command',
    'stop its nodes, and remove their folders',
  ],
  'edit-config': [
    'it has not been given the forms of Patroni yet',
    'pg-metako edit-config --set NAME=VALUE --pg NAME=VALUE',
  ],
}

type GlobalOptions = { readonly configFile?: string; readonly dcsUrl?: string; readonly insecure?: boolean }
type ListOptions = { format: CtlFormat; extended?: boolean; timestamp?: boolean; W?: boolean; watch?: string }

/** `patronictl` as Patroni 3 has it, on the agents' API: same commands, options, tables and sentences. */
export function createPatronictl(world: World): Command {
  const program = new Command('patronictl')
    .description('drives a cluster of pg-metako with the commands of patronictl')
    .option('-c, --config-file <file>', "the node's patroni.yml, or its pg-metako config")
    .addOption(new Option('-d, --dcs-url <url>').hideHelp())
    .addOption(new Option('--dcs <url>').hideHelp())
    .option('-k, --insecure', 'whose certificate an API shows does not matter')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void world.stdout.write(text),
      writeErr: (text) => void world.stderr.write(text),
      outputError: () => undefined,
    })
  const contextOf = async (cluster: string | undefined): Promise<CtlContext> => ({
    endpoints: await endpointsOf(program.opts(), world),
    cluster,
    world,
  })
  const add = (text: string, description: string) =>
    program
      .command(text)
      .description(description)
      .addOption(new Option('--group <group>').hideHelp())
      .hook('preAction', () => world.endWithPipe())
  addViews(add, contextOf, world)
  addDetails(add, contextOf, world)
  addOrders(add, contextOf)
  addMemberOrders(add, contextOf)
  for (const [name, [why, instead]] of Object.entries(ABSENT)) {
    add(`${name} [words...]`, `not there: ${why}`)
      .allowUnknownOption()
      .action(() => refuse(`Cannot ${name}: ${why}`, instead))
  }
  return program
}

type Add = (text: string, description: string) => Command
type ContextOf = (cluster: string | undefined) => Promise<CtlContext>

function addViews(add: Add, contextOf: ContextOf, world: World): void {
  const list = async (clusters: readonly string[], options: ListOptions) => {
    const everyS = options.watch === undefined ? (options.W ? 2 : undefined) : Number(options.watch)
    if (everyS !== undefined && !(everyS > 0)) refuse(`Cannot watch every "${options.watch}" seconds`)
    for (;;) {
      if (everyS !== undefined && world.stdout.isTTY) world.stdout.write('\u001b[2J\u001b[H')
      if (options.timestamp) world.stdout.write(`${timestamp(0)}\n`)
      for (const cluster of clusters.length > 0 ? clusters : [undefined]) {
        const { endpoints } = await contextOf(cluster)
        const { client } = await connectCluster(endpoints)
        const seen = await seenThrough(client, cluster)
        printMembers(seen, { format: options.format, isExtended: options.extended === true }, world.stdout)
      }
      if (everyS === undefined) return
      await sleep(everyS * SECOND)
    }
  }
  watched(formatted(add('list [clusters...]', 'the members of the cluster')))
    .option('-e, --extended', 'all columns')
    .option('-t, --timestamp', 'with the time')
    .action(list)
  watched(add('topology [clusters...]', 'the members as a tree')).action(
    (clusters: string[], options: ListOptions) => list(clusters, { ...options, format: 'topology' }),
  )
  formatted(add('history [cluster]', 'the changes of the primary')).action(
    async (cluster: string | undefined, { format }: { format: CtlFormat }) => {
      const { client } = await connectCluster((await contextOf(cluster)).endpoints)
      await seenThrough(client, cluster)
      const titles = ['Reason', 'Timestamp', 'New Leader'].map((title) => ({ title }))
      const right = ['TL', 'LSN'].map((title) => ({ title, align: 'right' as const }))
      printTable({ columns: [...right, ...titles], rows: await client.history() }, format, world.stdout)
    },
  )
  add('dsn [cluster]', "host and port of a member's PostgreSQL")
    .addOption(new Option('-r, --role <role>', 'of any member with this role').choices(CTL_ROLES))
    .option('-m, --member <member>', 'of this member')
    .action(async (cluster: string | undefined, options: { role?: string; member?: string }) => {
      if (options.member !== undefined && options.role !== undefined)
        refuse('--role and --member are mutually exclusive options')
      const { client } = await connectCluster((await contextOf(cluster)).endpoints)
      const seen = await seenThrough(client, cluster)
      const names = withRole(seen, options.member === undefined ? (options.role ?? 'leader') : 'any')
      const name = names.find((one) => options.member === undefined || one === options.member)
      const member = seen.document.members.find((one) => one.name === name)
      if (!member) return refuse('Can not find a suitable member')
      world.stdout.write(`host=${member.host} port=${member.port}\n`)
    })
}

function addDetails(add: Add, contextOf: ContextOf, world: World): void {
  add('version [cluster] [members...]', 'of this program, and of what runs on the members').action(
    async (cluster: string | undefined, names: readonly string[]) => {
      world.stdout.write(`patronictl version ${packageVersion()}\n`)
      if (cluster === undefined) return
      const { client } = await connectCluster((await contextOf(cluster)).endpoints)
      const { view } = await seenThrough(client, cluster)
      const members = view.members.filter(({ facts }) => names.length === 0 || names.includes(facts.name))
      const lines = members.map(({ facts }) => {
        const number = facts.instance.serverVersion
        const postgres =
          number === undefined ? '' : ` PostgreSQL ${Math.floor(number / 10_000)}.${number % 10_000}`
        return `${facts.name}: pg-metako ${facts.version}${postgres}\n`
      })
      world.stdout.write(`\n${lines.join('')}`)
    },
  )
  add('show-config [cluster]', 'what is set for the whole cluster while it runs').action(
    async (cluster: string | undefined) => {
      const { client } = await connectCluster((await contextOf(cluster)).endpoints)
      await seenThrough(client, cluster)
      world.stdout.write(yamlText(await client.dynamicConfig()))
    },
  )
}

function addOrders(add: Add, contextOf: ContextOf): void {
  for (const action of ['switchover', 'failover'] as const) {
    type Options = {
      leader?: string
      primary?: string
      master?: string
      candidate?: string
      scheduled?: string
      force?: boolean
    }
    add(`${action} [cluster]`, action === 'switchover' ? 'to a replica, without loss' : 'to a named replica')
      .option('--leader <member>', 'who is the primary now')
      .addOption(new Option('--primary <member>').hideHelp())
      .addOption(new Option('--master <member>').hideHelp())
      .option('--candidate <member>', 'who becomes the primary')
      .addOption(new Option('--scheduled <time>', 'when, in an unambiguous format such as ISO 8601'))
      .option('--force', 'do not ask')
      .action(async (cluster: string | undefined, options: Options) => {
        if (action === 'failover' && options.scheduled !== undefined) refuse("Failover can't be scheduled")
        const leader = options.leader ?? options.primary ?? options.master
        await move(await contextOf(cluster), {
          // As patronictl: who names the primary means a switchover.
          action: leader === undefined ? action : 'switchover',
          leader,
          candidate: options.candidate,
          scheduled: options.scheduled,
          force: options.force === true,
        })
      })
  }
  for (const isPaused of [true, false]) {
    add(
      `${isPaused ? 'pause' : 'resume'} [cluster]`,
      isPaused ? 'nobody acts by itself' : 'everybody acts again',
    )
      .addOption(new Option('--wait').hideHelp())
      .action(async (cluster: string | undefined) => setPaused(await contextOf(cluster), isPaused))
  }
}

function addMemberOrders(add: Add, contextOf: ContextOf): void {
  type MemberOptions = { force?: boolean; wait?: boolean; role?: string }
  add('reinit <cluster> [members...]', 'replace the data of replicas')
    .option('--force', 'do not ask')
    .option('--wait', 'end when it is completed')
    .action(
      async (cluster: string, names: readonly string[], { force = false, wait = false }: MemberOptions) => {
        await reinitialise(await contextOf(cluster), { names, force, wait })
      },
    )
  type RestartOptions = MemberOptions & {
    any?: boolean
    pending?: boolean
    pgVersion?: string
    scheduled?: string
    timeout?: string
  }
  add('restart <cluster> [members...]', 'restart PostgreSQL of members')
    .addOption(new Option('-r, --role <role>', 'only members with this role').choices(CTL_ROLES))
    .option('--any', 'one of them alone')
    .option('--pending', 'only where a setting waits for it')
    .option('--pg-version <version>', 'only where PostgreSQL is older')
    .option('--scheduled <time>', 'when, in an unambiguous format such as ISO 8601')
    .addOption(new Option('--timeout <seconds>').hideHelp())
    .option('--force', 'do not ask')
    .action(async (cluster: string, names: readonly string[], options: RestartOptions) => {
      if (options.timeout !== undefined)
        refuse('Cannot limit the time of a restart: it is waited for until it is over', 'Leave --timeout out')
      const { force = false, any = false, pending = false, role, pgVersion: version, scheduled } = options
      await restart(await contextOf(cluster), { names, force, role, any, pending, version, scheduled })
    })
  add('flush <cluster> [words...]', 'call off what is scheduled: [MEMBER...] restart, or switchover')
    .option('--force', 'do not ask')
    .addOption(new Option('-r, --role <role>', 'only members with this role').choices(CTL_ROLES))
    .action(async (cluster: string, words: readonly string[], { force = false, role }: MemberOptions) => {
      const target = words.at(-1)
      if (target !== 'restart' && target !== 'switchover')
        return refuse('Cannot flush: wanted restart or switchover behind the members')
      await flush(await contextOf(cluster), { names: words.slice(0, -1), force, role, target })
    })
  add('reload <cluster> [members...]', 'have members read their configuration again')
    .option('--force', 'do not ask')
    .addOption(new Option('-r, --role <role>', 'only members with this role').choices(CTL_ROLES))
    .action(async (cluster: string, names: readonly string[], { force = false, role }: MemberOptions) => {
      await reload(await contextOf(cluster), { names, force, role })
    })
}

function formatted(command: Command): Command {
  return command.addOption(
    new Option('-f, --format <format>', 'form of the output').choices(CTL_FORMATS).default('pretty'),
  )
}

function watched(command: Command): Command {
  return command
    .option('-W', 'again every 2 seconds')
    .option('-w, --watch <seconds>', 'again every so many seconds')
}

/** The config of the node: named, from the environment, where patronictl looks, or where pg-metako looks. */
async function endpointsOf(
  options: GlobalOptions & { dcs?: string },
  world: World,
): ReturnType<typeof findEndpoints> {
  const dcs = options.dcsUrl ?? options.dcs ?? world.env['DCS_URL']
  if (dcs)
    refuse(
      'Cannot ask the store: this patronictl asks the agents',
      'Name the config of a node with -c, without --dcs-url',
    )
  const usual = join(homedir(), '.config/patroni/patronictl.yaml')
  const config =
    options.configFile ?? world.env['PATRONICTL_CONFIG_FILE'] ?? (existsSync(usual) ? usual : undefined)
  return findEndpoints({ config, isInsecure: options.insecure }, world)
}
