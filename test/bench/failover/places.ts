import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** Where the nodes of a cluster stand. Nodes are numbered from 1. */
export type Places = {
  /** The bench's own address, as the nodes reach it. */
  readonly own: string
  address(number: number): string
  /** The words before a command that is to run at a node. */
  enter(number: number): readonly string[]
  /** Pulls a node's network cable, or plugs it in again. */
  setLink(number: number, isUp: boolean): void
  dispose(): void
}

const NETWORK = '10.79.0'
const LOOPBACK = '127.0.0.1'

/** All on 127.0.0.1: there is no cable to pull. */
export function loopbackPlaces(): Places {
  return {
    own: LOOPBACK,
    address: () => LOOPBACK,
    enter: () => [],
    setLink() {
      throw new Error('Cannot pull a cable: all nodes are on 127.0.0.1')
    },
    dispose() {},
  }
}

/** Each node in a network of its own on one switch, on which the bench stands too, as a client on the same network would. */
export async function hostPlaces(count: number): Promise<Places> {
  const bridge = `mtb${String(process.pid).slice(-6)}`
  const keepers: ChildProcess[] = []
  const near = (number: number) => `${bridge}n${number}`
  const address = (number: number) => `${NETWORK}.${number}`
  const enter = (number: number) => ['nsenter', '--target', String(keepers[number - 1]?.pid), '--net', '--']
  const dispose = () => {
    // When its keeper ends, a network goes with everything in it, the switch's end of the cable included.
    for (const keeper of keepers) keeper.kill('SIGKILL')
    run('sh', '-c', `! ip link show ${bridge} 2>/dev/null || ip link delete ${bridge}`)
  }
  try {
    run('ip', 'link', 'add', bridge, 'type', 'bridge')
    run('ip', 'address', 'add', `${address(254)}/24`, 'dev', bridge)
    run('ip', 'link', 'set', bridge, 'up')
    for (let number = 1; number <= count; number += 1) {
      const keeper = await startKeeper()
      keepers.push(keeper)
      const far = ['peer', 'name', 'eth0', 'netns', String(keeper.pid)]
      run('ip', 'link', 'add', near(number), 'master', bridge, 'up', 'type', 'veth', ...far)
      run(...enter(number), 'ip', 'address', 'add', `${address(number)}/24`, 'dev', 'eth0')
      run(...enter(number), 'ip', 'link', 'set', 'eth0', 'up')
    }
  } catch (error) {
    dispose()
    throw error
  }
  return {
    own: address(254),
    address,
    enter,
    setLink: (number, isUp) => run('ip', 'link', 'set', near(number), isUp ? 'up' : 'down'),
    dispose,
  }
}

async function startKeeper(): Promise<ChildProcess> {
  const script = 'ip link set lo up && echo ready && exec sleep infinity'
  const keeper = spawn('unshare', ['--net', 'sh', '-c', script], {
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
  })
  await Promise.race([
    once(keeper.stdout, 'data'),
    once(keeper, 'exit').then(() => {
      throw new Error('Cannot make a network namespace')
    }),
  ])
  return keeper
}

function run(...command: readonly string[]): void {
  const [file = '', ...argv] = command
  execFileSync(file, argv, { stdio: ['ignore', 'ignore', 'pipe'] })
}
