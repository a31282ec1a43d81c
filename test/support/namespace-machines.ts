import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { isPostgres, type NodeProcesses } from '../../src/cli/demo/node-processes.ts'
import { argumentsOf, findProcesses } from '../../src/platform/process-table.ts'
import { signalProcess, type ProcessStat } from '../../src/platform/process.ts'
import { pause } from '../../src/platform/timers.ts'
import { writeSecrets } from './loopback-machines.ts'
import { REPOSITORY_ROOT } from './repository-root.ts'
import { PROGRAM, runProgram, spawnLogged, type Machines, type TestNode } from './machines.ts'

/** The files that the README's "On three hosts" copies to the hosts, used as they are. */
const EXAMPLE = join(REPOSITORY_ROOT, 'examples/three-hosts')
/** What the example says: addresses of the hosts, and the folder that each of them keeps its data in. */
const NETWORK = '10.77.0'
const DATA_PARENT = '/var/lib/pg-metako'
const PORTS = { api: 8008, primary: 5433, replica: 5434, pooled: 6432, postgres: 5432 } as const
const HOST_OF_TEST = `${NETWORK}.254`
const COUNT_USUAL = 3
/** Not on the disk that they are about, which may be full; a link leads there from beside the data. */
const FAULTS = 'faults'

/** Whether this machine lets us make hosts: root with the right to mount, and `ip`. */
export function canMakeHosts(): boolean {
  try {
    execFileSync('unshare', ['--net', '--mount', '--pid', '--fork', '--mount-proc', 'ip', 'link'], {
      stdio: 'ignore',
    })
    return true
  } catch {
    return false
  }
}

/** A host: a network, a process list and a `/var/lib/pg-metako` of its own. Its first process is its life. */
type Host = {
  readonly node: TestNode
  readonly init: ProcessStat
  readonly pidSpace: string
  /** The switch's end of its cable. */
  readonly near: string
}

export type HostFiles = {
  /** `example`: the files of `examples/three-hosts`. `init`: what `pg-metako init` writes for as many as there are. */
  readonly from?: 'example' | 'init'
  /** How many hosts the cluster has; the example is for three. */
  readonly count?: number
  /** The last one votes and has no database; with the files of `init` alone. */
  readonly witness?: boolean | undefined
  /** More hosts, without any file: for nodes that join. */
  readonly spare?: number
  /** What becomes of the text that `init` wrote into each `common.yaml`. */
  readonly edit?: (text: string) => string
  /** Data on a disk of its own of this size, in memory; absent: a folder of this machine's. */
  readonly diskMb?: number
  /** What agents, guards and routers are preloaded with, so that disk and clock can be made bad; see `faulty-host.ts`. */
  readonly faulty?: string | undefined
}

/**
 * Three hosts, or as many as asked for, on one switch, made of namespaces, each with config files as a person would copy them there. The test itself
 * stands on the switch too, as a client on the same network would.
 */
export async function namespaceMachines(files: HostFiles = {}): Promise<Machines> {
  const root = mkdtempSync(join(tmpdir(), 'metako-ns-'))
  chmodSync(root, 0o755)
  const bridge = `mtk${String(process.pid).slice(-6)}`
  const undo: (() => void)[] = [() => rmSync(root, { recursive: true, force: true, maxRetries: 3 })]
  try {
    if (mkdirSync(DATA_PARENT, { recursive: true }) !== undefined) undo.push(() => rmdirSync(DATA_PARENT))
    ip('link', 'add', bridge, 'type', 'bridge')
    undo.push(() => ip('link', 'delete', bridge))
    ip('address', 'add', `${HOST_OF_TEST}/24`, 'dev', bridge)
    ip('link', 'set', bridge, 'up')
    const etc = join(root, 'etc')
    const isInit = files.from === 'init'
    const count = files.count ?? COUNT_USUAL
    const { appPassword, apiToken } = isInit
      ? await writeInit(etc, { count, edit: files.edit, witness: files.witness })
      : { ...copyExample(etc), apiToken: undefined }
    const hosts: Host[] = []
    for (let number = 1; number <= count + (files.spare ?? 0); number += 1) {
      const configFile = join(etc, isInit ? `node${number}/node.yaml` : `node${number}.yaml`)
      const node = nodeIn(root, { number, configFile, isWitness: files.witness === true && number === count })
      hosts.push(await makeHost(node, { bridge, number, undo, diskMb: files.diskMb }))
    }
    return machinesOf(hosts, { count, appPassword, apiToken, undo, faulty: files.faulty })
  } catch (error) {
    undoAll(undo)
    throw error
  }
}

function machinesOf(
  hosts: readonly Host[],
  about: {
    count: number
    appPassword: string
    apiToken: string | undefined
    undo: (() => void)[]
    faulty: string | undefined
  },
): Machines {
  const programs = new Map<string, string>()
  const hostOf = (node: TestNode): Host => {
    const host = hosts.find((one) => one.node.name === node.name)
    if (!host) throw new Error(`No host for ${node.name}`)
    return host
  }
  return {
    nodes: hosts.slice(0, about.count).map(({ node }) => node),
    spares: hosts.slice(about.count).map(({ node }) => node),
    appPassword: about.appPassword,
    apiToken: (node) => about.apiToken ?? readTokenOf(hostOf(node)),
    enter: (node) => enter(hostOf(node)),
    runOn: (node, argv) => runProgram(argv, '/', enter(hostOf(node))),
    setProgram: ({ name }, program) => void programs.set(name, program),
    faultsOf: ({ folder }) => join(folder, FAULTS),
    spawnAgent: (node) =>
      spawnLogged(
        [
          ...enter(hostOf(node)),
          ...(about.faulty === undefined
            ? []
            : ['env', `LD_PRELOAD=${about.faulty}`, `FAULTY_HOST=${DATA_PARENT}/${FAULTS}`]),
          ...[process.execPath, programs.get(node.name) ?? PROGRAM],
          ...(isWitness(node) ? ['witness'] : []),
          ...['--config', node.configFile],
        ],
        { logFile: node.logFile, cwd: '/' },
      ),
    processesOf: (node) => processesIn(hostOf(node)),
    postmasterOf: (node) => postmasterIn(hostOf(node)),
    setLink: (node, isUp) => ip('link', 'set', hostOf(node).near, isUp ? 'up' : 'down'),
    dispose: async () => {
      // The end of its first process ends everything of a host.
      for (const { init } of hosts) signalProcess(init.pid, 'SIGKILL')
      const isGone = () => hosts.every((host) => Object.values(processesIn(host)).flat().length === 0)
      for (let look = 0; look < 100 && !isGone(); look += 1) await pause(20)
      undoAll(about.undo)
    },
  }
}

/** Everything, in the opposite order; what fails is left for the rest. */
function undoAll(undo: (() => void)[]): void {
  for (const task of undo.splice(0).toReversed()) {
    try {
      task()
    } catch {
      // A link that went with its namespace.
    }
  }
}

function copyExample(folder: string): { readonly appPassword: string } {
  mkdirSync(folder)
  for (const name of readdirSync(EXAMPLE)) {
    if (name.endsWith('.yaml')) copyFileSync(join(EXAMPLE, name), join(folder, name))
  }
  return writeSecrets(join(folder, 'secrets'))
}

/** As the README says, for the addresses that these hosts have. */
async function writeInit(
  folder: string,
  files: { readonly count: number; readonly edit: HostFiles['edit']; readonly witness: HostFiles['witness'] },
): Promise<{ appPassword: string; apiToken: string }> {
  const names = Array.from({ length: files.count }, (_, index) => `node${index + 1}=${NETWORK}.${index + 1}`)
  const witness = files.witness ? ['--witness', names.pop() ?? ''] : []
  const places = ['--data-dir', `${DATA_PARENT}/data`, '--out', folder]
  const words = ['init', '--nodes', names.join(), ...witness, ...places]
  const { code, err } = await runProgram(words, '/')
  if (code !== 0) throw new Error(`pg-metako init: ${err}`)
  for (let number = 1; files.edit && number <= files.count; number += 1) {
    const common = join(folder, `node${number}`, 'common.yaml')
    writeFileSync(common, files.edit(readFileSync(common, 'utf8')))
  }
  const secret = (name: string) => readFileSync(join(folder, 'node1/secrets', name), 'utf8').trim()
  return { appPassword: secret('app-password'), apiToken: secret('api-token') }
}

function nodeIn(
  root: string,
  about: { readonly number: number; readonly configFile: string; readonly isWitness: boolean },
): TestNode {
  const { number, configFile } = about
  const name = `node${number}`
  const host = `${NETWORK}.${number}`
  const folder = join(root, name)
  mkdirSync(folder)
  return {
    name,
    host,
    ports: about.isWitness ? { ...PORTS, primary: 0 } : PORTS,
    api: `http://${host}:${PORTS.api}/`,
    folder,
    configFile,
    logFile: join(folder, 'agent.log'),
    dataDir: `${DATA_PARENT}/data`,
    stateDir: `${DATA_PARENT}/data.metako`,
    runDir: `${DATA_PARENT}/data.metako/run`,
  }
}

/** Whatever has a database has a router as well, on these hosts. */
export function isWitness({ ports }: TestNode): boolean {
  return ports.primary === 0
}

async function makeHost(
  node: TestNode,
  options: { bridge: string; number: number; undo: (() => void)[]; diskMb: number | undefined },
): Promise<Host> {
  const store = join(node.folder, 'var')
  mkdirSync(store)
  mkdirSync(join(node.folder, FAULTS))
  chmodSync(node.folder, 0o755)
  const disk =
    options.diskMb === undefined ? `--bind ${store}` : `-t tmpfs -o size=${options.diskMb}m,mode=755 disk`
  // The shell stays as the first process: it takes up the dead, as an init does. A postmaster that nobody took up counts as alive.
  const faults = `ln -s ${join(node.folder, FAULTS)} ${DATA_PARENT}/${FAULTS}`
  const script = `mount ${disk} ${DATA_PARENT} && ${faults} && ip link set lo up && { sleep infinity & wait; }`
  const shared = ['--net', '--mount', '--ipc', '--pid', '--fork', '--kill-child', '--mount-proc']
  const child = spawn('unshare', [...shared, 'sh', '-c', script], { stdio: 'ignore', detached: true })
  options.undo.push(() => child.kill('SIGKILL'))
  const init = await firstProcessOf(child)
  const [near, far] = [`${options.bridge}n${options.number}`, `eth0`]
  ip(
    'link',
    'add',
    near,
    'master',
    options.bridge,
    'up',
    'type',
    'veth',
    'peer',
    'name',
    far,
    'netns',
    String(init.pid),
  )
  // The other end goes with it, whenever the kernel gets round to the namespace.
  options.undo.push(() => ip('link', 'delete', near))
  const host: Host = { node, init, pidSpace: readlinkSync(`/proc/${init.pid}/ns/pid`), near }
  run(...enter(host), 'ip', 'address', 'add', `${node.host}/24`, 'dev', far)
  run(...enter(host), 'ip', 'link', 'set', far, 'up')
  return host
}

/** `unshare --fork` waits for its child, which is the first process of the new list: it has a `sleep` once all is mounted. */
async function firstProcessOf(child: ChildProcess): Promise<ProcessStat> {
  for (let look = 0; look < 250; look += 1) {
    const [first] = findProcesses((_, stat) => stat.parentPid === child.pid)
    if (
      first &&
      findProcesses((argv, stat) => stat.parentPid === first.pid && argv[0] === 'sleep').length > 0
    )
      return first
    await pause(20)
  }
  throw new Error('Cannot make a host: its first process did not come up within 5 s')
}

function enter({ init }: Host): readonly string[] {
  return ['nsenter', '--target', String(init.pid), '--net', '--mount', '--ipc', '--pid', '--']
}

function processesIn({ pidSpace, init }: Host): NodeProcesses {
  const own = findProcesses((_, stat) => stat.pid !== init.pid && pidSpaceOf(stat.pid) === pidSpace)
  const isNode = (argv: readonly string[]) => basename(argv[0] ?? '').startsWith('node')
  const those = (accepts: (argv: readonly string[]) => boolean) =>
    own.filter(({ pid }) => accepts(argumentsOf(pid)))
  return {
    agents: those((argv) => isNode(argv) && argv.includes('--config')),
    guards: those((argv) => isNode(argv) && argv[2] === 'guard'),
    routers: those((argv) => isNode(argv) && argv[2] === 'router'),
    instance: those(isPostgres),
  }
}

/** The postmaster is the one that was started with arguments; its children rewrite theirs. */
function postmasterIn(host: Host): ProcessStat | undefined {
  const { instance } = processesIn(host)
  return instance.find(({ pid }) => argumentsOf(pid).includes('-D'))
}

function pidSpaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`)
  } catch {
    return undefined
  }
}

function readTokenOf(host: Host): string {
  const file = `${host.node.stateDir}/token`
  return execFileSync('nsenter', [...enter(host).slice(1), 'cat', file], { encoding: 'utf8' }).trim()
}

function ip(...args: readonly string[]): void {
  run('ip', ...args)
}

function run(...command: readonly string[]): void {
  const [file = '', ...argv] = command
  execFileSync(file, argv, { stdio: ['ignore', 'ignore', 'pipe'] })
}
