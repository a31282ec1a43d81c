import { execFileSync } from 'node:child_process'
import { pidsOf, signalAll } from '../../src/cli/demo/node-processes.ts'
import { argumentsOf } from '../../src/platform/process-table.ts'
import type { ProcessStat } from '../../src/platform/process.ts'
import { pause } from '../../src/platform/timers.ts'
import type { Cluster } from '../support/cluster.ts'
import { COMPILER_PACKAGES, setClockOffset, setDiskTrouble } from '../support/faulty-host.ts'
import type { Machines, TestNode } from '../support/machines.ts'
import { hasQuotas, limitProcessor } from './processor-quota.ts'
import type { ChaosFault, FrozenPart, HostFault } from './schedule.ts'
import type { Standstill } from './verdict.ts'

const BALLAST = '/var/lib/pg-metako/ballast'
/** For an agent that another fault keeps away: then the next one's turn comes all the same. */
const ROLL_STEP_MS = 8000
const ROLL_LOOK_MS = 100
const FROZEN: Readonly<Record<FrozenPart, readonly (keyof ReturnType<Cluster['processesOf']>)[]>> = {
  agent: ['agents'],
  guard: ['guards'],
  router: ['routers'],
  postgres: ['instance'],
  fence: ['agents', 'guards'],
  all: ['agents', 'guards', 'routers', 'instance'],
}

/** What this machine cannot do to its hosts, and what would bring it. */
export function leftOutKinds(hasFaultyHosts: boolean): ReadonlyMap<ChaosFault['kind'], string> {
  const compiler = `no compiler: apt-get install -y --no-install-recommends ${COMPILER_PACKAGES}`
  return new Map([
    ...(hasFaultyHosts ? [] : (['disk', 'clock-step'] as const).map((kind) => [kind, compiler] as const)),
    ...(hasQuotas()
      ? []
      : [['starve', 'no control group (version 1) with a quota for the processor'] as const]),
  ])
}

/** The hands that break hosts: each fault is made, and ended by what `make` returns. `heal` ends whatever is left. */
export class FaultMaker {
  readonly standstills: Standstill[] = []
  readonly #cluster: Cluster
  readonly #enter: (node: TestNode) => readonly string[]
  readonly #faultsOf: (node: TestNode) => string
  readonly #quotas = new Map<string, () => void>()
  /** By how many seconds the time of day of a host is off. */
  readonly #offsets = new Map<string, number>()
  /** How many faults hold a node's cable or power at this moment. */
  readonly #holds = new Map<string, number>()

  constructor(cluster: Cluster, machines: Machines) {
    if (!machines.enter || !machines.faultsOf) throw new Error('Chaos needs hosts of their own')
    this.#cluster = cluster
    this.#faultsOf = machines.faultsOf.bind(machines)
    this.#enter = machines.enter.bind(machines)
  }

  make(
    fault: HostFault,
    at: {
      readonly node: TestNode
      /** Whom alone a cut means; absent: everybody. */
      readonly peers: readonly TestNode[] | undefined
    },
  ): (() => void) | undefined {
    const { node } = at
    const cluster = this.#cluster
    switch (fault.kind) {
      case 'kill':
        signalAll(this.#victims(node, fault.process), 'SIGKILL')
        return undefined
      case 'kill-node':
        cluster.killNode(node)
        return undefined
      case 'restart-agent':
        signalAll(cluster.processesOf(node).agents, 'SIGTERM')
        return undefined
      case 'switchover':
        // A refusal is an answer too: the cluster may be in no state for it.
        cluster.switchover(node).catch(() => undefined)
        return undefined
      case 'crash':
        return this.#hold(`power ${node.name}`, (isOn) => cluster.setPower(node, isOn))
      case 'unplug':
        return this.#hold(`cable ${node.name}`, (isUp) => cluster.setLink(node, isUp))
      case 'cut':
      case 'loss':
        return this.#filter(
          node,
          filterRules(
            fault,
            at.peers?.map(({ host }) => host),
          ),
        )
      case 'freeze':
        return this.#freeze(node, fault.what)
      case 'lag':
        return this.#lag()
      case 'wipe':
        this.#wipe(node)
        return undefined
      case 'full-disk':
        return this.#fillDisk(node)
      case 'disk':
        return this.#hold(`disk ${node.name}`, (isGood) =>
          setDiskTrouble(this.#faultsOf(node), isGood ? undefined : fault),
        )
      case 'starve':
        return this.#hold(`processor ${node.name}`, (isGood) => {
          if (isGood) this.#endQuota(node.name)
          else this.#starve(node, fault.percent)
        })
      case 'clock-step':
        this.#stepClock(node, fault.seconds)
        return undefined
    }
  }

  /** Agent after agent, in this order, each when the one before is back. */
  async roll(nodes: readonly TestNode[], how: 'stop' | 'detach'): Promise<void> {
    for (const node of nodes) {
      const before = new Set(this.#cluster.processesOf(node).agents.map(({ pid }) => pid))
      signalAll(this.#cluster.processesOf(node).agents, how === 'stop' ? 'SIGTERM' : 'SIGUSR2')
      const isBack = async () => {
        const { views } = await this.#cluster.observe()
        const own = views.get(node.name)?.members.find(({ facts }) => facts.name === node.name)
        const isNew = this.#cluster.processesOf(node).agents.some(({ pid }) => !before.has(pid))
        return isNew && own?.facts.instance.state === 'running'
      }
      const giveUpAt = performance.now() + ROLL_STEP_MS
      while (performance.now() < giveUpAt && !(await isBack())) await pause(ROLL_LOOK_MS)
    }
  }

  /** The end of all faults, whatever became of them; a clock that was stepped has been stepped. */
  heal(): void {
    this.#holds.clear()
    for (const node of this.#cluster.nodes) {
      this.#run(node, 'iptables', '-F')
      this.#run(node, 'rm', '-f', BALLAST)
      setDiskTrouble(this.#faultsOf(node), undefined)
      this.#wake(node, 'all')
      this.#cluster.setPower(node, true)
    }
    this.endQuotas()
  }

  endQuotas(): void {
    for (const name of this.#quotas.keys()) this.#endQuota(name)
  }

  #victims(node: TestNode, name: (ChaosFault & { kind: 'kill' })['process']): readonly ProcessStat[] {
    const processes = this.#cluster.processesOf(node)
    switch (name) {
      case 'agent':
        return processes.agents
      case 'guard':
        return processes.guards
      case 'router':
        return processes.routers
      case 'postmaster':
        return processes.instance.filter(({ pid }) => argumentsOf(pid).includes('-D'))
      case 'walsender':
      case 'walreceiver':
        return processes.instance.filter(({ pid }) => argumentsOf(pid)[0]?.includes(name)).slice(0, 1)
    }
  }

  #freeze(node: TestNode, what: FrozenPart): () => void {
    for (const part of FROZEN[what]) signalAll(this.#cluster.processesOf(node)[part], 'SIGSTOP')
    const fromMs = performance.now()
    return () => {
      this.#wake(node, what)
      if (FROZEN[what].includes('routers'))
        this.standstills.push({ router: node.name, fromMs, toMs: performance.now() })
    }
  }

  #lag(): () => void {
    const receivers = this.#cluster.nodes.flatMap((node) => this.#victims(node, 'walreceiver'))
    signalAll(receivers, 'SIGSTOP')
    return () => void signalAll(receivers, 'SIGCONT')
  }

  #wake(node: TestNode, what: FrozenPart): void {
    for (const part of FROZEN[what]) signalAll(this.#cluster.processesOf(node)[part], 'SIGCONT')
    if (FROZEN[what].includes('agents')) this.#cluster.freezeAgent(node, 'SIGCONT')
  }

  /** A host that comes back with an empty data directory; its agent's own state is still there. */
  #wipe(node: TestNode): void {
    this.#cluster.setPower(node, false)
    this.#run(node, 'find', node.dataDir, '-mindepth', '1', '-delete')
    this.#cluster.setPower(node, true)
  }

  #stepClock(node: TestNode, seconds: number): void {
    const offset = (this.#offsets.get(node.name) ?? 0) + seconds
    this.#offsets.set(node.name, offset)
    setClockOffset(this.#faultsOf(node), offset)
  }

  #starve(node: TestNode, percent: number): void {
    const pids = pidsOf(this.#cluster.processesOf(node))
    this.#quotas.set(node.name, limitProcessor(node.name, pids, percent))
  }

  #endQuota(name: string): void {
    this.#quotas.get(name)?.()
    this.#quotas.delete(name)
  }

  #fillDisk(node: TestNode): () => void {
    this.#run(
      node,
      'sh',
      '-c',
      `fallocate -l $(($(df --output=avail -B1 ${BALLAST.replace(/\/[^/]*$/, '')} | tail -n 1))) ${BALLAST} || true`,
    )
    return () => this.#run(node, 'rm', '-f', BALLAST)
  }

  #filter(node: TestNode, rules: readonly (readonly string[])[]): () => void {
    for (const rule of rules) this.#run(node, 'iptables', '-A', ...rule)
    return () => {
      for (const rule of rules) this.#run(node, 'iptables', '-D', ...rule)
    }
  }

  /** Two faults may hold the same thing: it is let go with the last. */
  #hold(key: string, set: (isGood: boolean) => void): () => void {
    this.#holds.set(key, (this.#holds.get(key) ?? 0) + 1)
    set(false)
    return () => {
      const left = (this.#holds.get(key) ?? 1) - 1
      this.#holds.set(key, left)
      if (left === 0) set(true)
    }
  }

  #run(node: TestNode, ...command: readonly string[]): void {
    const [file = '', ...argv] = [...this.#enter(node), ...command]
    execFileSync(file, argv, { stdio: 'ignore' })
  }
}

/** Rules of `iptables`, each without its command; `peers`: the addresses that alone are meant. */
function filterRules(
  fault: ChaosFault & { readonly kind: 'cut' | 'loss' },
  peers: readonly string[] | undefined,
): readonly (readonly string[])[] {
  if (fault.kind === 'loss') {
    const chance = ['-m', 'statistic', '--mode', 'random', '--probability', String(fault.percent / 100)]
    return [['INPUT', '-i', 'eth0', ...chance, '-j', 'DROP']]
  }
  // A reset is an answer to TCP alone; whatever else there is goes on.
  const verdict =
    fault.how === 'drop' ? ['-j', 'DROP'] : ['-p', 'tcp', '-j', 'REJECT', '--reject-with', 'tcp-reset']
  const rule = (chain: string, card: string, peer: readonly string[]) => [
    chain,
    card,
    'eth0',
    ...peer,
    ...verdict,
  ]
  const incoming = peers ? peers.map((peer) => rule('INPUT', '-i', ['-s', peer])) : [rule('INPUT', '-i', [])]
  const outgoing = peers
    ? peers.map((peer) => rule('OUTPUT', '-o', ['-d', peer]))
    : [rule('OUTPUT', '-o', [])]
  return { both: [...incoming, ...outgoing], in: incoming, out: outgoing }[fault.way]
}
