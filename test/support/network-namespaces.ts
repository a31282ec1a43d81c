import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** Networks of their own on one switch, seen by nobody else: nothing of them is in the network of the machine. */
export type NetworkNamespaces = {
  address(number: number): string
  /** The command that runs another one in the network of a host. */
  enter(number: number): readonly string[]
  /** Whether what `from` sends to `to` arrives. Lost silently, in this direction only. */
  setLink(from: number, to: number, isUp: boolean): void
  dispose(): void
}

const NETWORK = '10.78.0'
/** An address of Ethernet that no card here has: frames to it leave, and nobody takes them. */
const NOBODY = '02:00:00:00:00:ff'

/** Hosts are numbered from 1. Needs root; see `canMakeHosts`. */
export async function networkNamespaces(count: number): Promise<NetworkNamespaces> {
  const keepers: ChildProcess[] = []
  const dispose = () => {
    for (const keeper of keepers) keeper.kill('SIGKILL')
  }
  const address = (number: number) => `${NETWORK}.${number}`
  const pidOf = (index: number) => String(keepers[index]?.pid)
  const enter = (number: number) => ['nsenter', '--target', pidOf(number), '--net', '--']
  const run = (number: number, ...command: readonly string[]) => {
    const [file = '', ...args] = [...enter(number), ...command]
    execFileSync(file, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  }
  try {
    // Number 0 is the switch. When a keeper ends, its network goes with everything in it.
    for (let number = 0; number <= count; number += 1) keepers.push(await startKeeper())
    run(0, 'ip', 'link', 'add', 'switch', 'type', 'bridge')
    run(0, 'ip', 'link', 'set', 'switch', 'up')
    for (let number = 1; number <= count; number += 1) {
      const port = `port${number}`
      run(0, 'ip', 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', pidOf(number))
      run(0, 'ip', 'link', 'set', port, 'master', 'switch', 'up')
      run(number, 'ip', 'address', 'add', `${address(number)}/24`, 'dev', 'eth0')
      run(number, 'ip', 'link', 'set', 'eth0', 'up')
    }
  } catch (error) {
    dispose()
    throw error
  }
  return {
    address,
    enter,
    setLink(from, to, isUp) {
      // A permanent neighbour is never asked for again, so what is sent goes to nobody until it is removed.
      if (isUp) run(from, 'ip', 'neigh', 'del', address(to), 'dev', 'eth0')
      else
        run(from, 'ip', 'neigh', 'replace', address(to), 'lladdr', NOBODY, 'dev', 'eth0', 'nud', 'permanent')
    },
    dispose,
  }
}

async function startKeeper(): Promise<ChildProcess> {
  const script = 'ip link set lo up && echo ready && exec sleep infinity'
  const keeper = spawn('unshare', ['--net', 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'ignore'] })
  await Promise.race([
    once(keeper.stdout, 'data'),
    once(keeper, 'exit').then(() => {
      throw new Error('Cannot make a network namespace')
    }),
  ])
  return keeper
}
