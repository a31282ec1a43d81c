import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { knock } from '../../src/platform/net.ts'
import { Cluster } from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'
import type { Machines, TestNode } from '../support/machines.ts'
import { canMakeHosts, namespaceMachines } from '../support/namespace-machines.ts'
import { describePostgres } from '../support/postgres.ts'
import { Arena } from './arena.ts'
import { FaultMaker } from './fault-maker.ts'
import { drawSchedule, type ChaosFault } from './schedule.ts'

const PORT = 7000
const SEEDS = [1, 2]

/** A suite whose faults do nothing would always be green. */
describe.runIf(canMakeHosts())('a fault', () => {
  let machines: Machines
  let cluster: Cluster
  let maker: FaultMaker
  let listener: ChildProcess | undefined

  beforeAll(async () => {
    machines = await namespaceMachines({ from: 'init', diskMb: 16 })
    cluster = new Cluster(machines)
    maker = new FaultMaker(cluster, machines)
    // Called as a router is, so that what is made for routers finds it.
    const script = join(host().folder, 'listener.cjs')
    writeFileSync(script, `require('node:net').createServer().listen(${PORT}, () => console.log('ready'))`)
    listener = spawn('nsenter', [...enter(host()).slice(1), process.execPath, script, 'router'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    if (listener.stdout) await once(listener.stdout, 'data')
  })

  afterAll(async () => {
    // It stood still together with what it had started, and nobody woke it.
    listener?.kill('SIGKILL')
    await cluster?.dispose()
  })

  const host = (rank = 0): TestNode => {
    const found = machines.nodes[rank]
    if (!found) throw new Error(`No host ${rank}`)
    return found
  }
  const enter = (node: TestNode): readonly string[] => machines.enter?.(node) ?? []
  const within = (node: TestNode, ...command: readonly string[]): string =>
    execFileSync('nsenter', [...enter(node).slice(1), ...command], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
  const make = (fault: ChaosFault, peers?: readonly TestNode[]) => maker.make(fault, { node: host(), peers })
  const seenBy = (node: TestNode): string =>
    within(
      node,
      process.execPath,
      '-e',
      `const s = require('node:net').connect({ host: '${host().host}', port: ${PORT}, timeout: 500 });
       const say = (word) => { console.log(word); process.exit() };
       s.on('connect', () => say('accepts')).on('timeout', () => say('silent')).on('error', () => say('refuses'))`,
    )
  const listenerState = (): string =>
    cluster
      .processesOf(host())
      .routers.map(({ state }) => state)
      .join()

  it('cuts a host off in either direction, with silence or with a reset, and ends', async () => {
    const at = { host: host().host, port: PORT }
    expect(await knock(at)).toBe('accepts')
    for (const way of ['in', 'out', 'both'] as const) {
      const undo = make({ kind: 'cut', way, how: 'drop', ms: 1 })
      expect(await knock(at), way).toBe('silent')
      undo?.()
      expect(await knock(at), way).toBe('accepts')
    }
    const undo = make({ kind: 'cut', way: 'in', how: 'reject', ms: 1 })
    expect(await knock(at)).toBe('refuses')
    undo?.()
    expect(await knock(at)).toBe('accepts')
  })

  it('of one peer leaves the others alone', () => {
    const undo = make({ kind: 'cut', way: 'in', how: 'drop', peer: 1, ms: 1 }, [host(1)])
    expect([seenBy(host(1)), seenBy(host(2))]).toEqual(['silent', 'accepts'])
    undo?.()
    expect(seenBy(host(1))).toBe('accepts')
  })

  it('of the cable ends only when the last that pulled it has ended', async () => {
    const at = { host: host().host, port: PORT }
    const [first, second] = [make({ kind: 'unplug', ms: 1 }), make({ kind: 'unplug', ms: 1 })]
    expect(await knock(at)).toBe('silent')
    first?.()
    expect(await knock(at)).toBe('silent')
    second?.()
    await eventually('the cable is back', async () => (await knock(at)) === 'accepts')
  })

  it('leaves no byte free on a full disk, and gives them back', () => {
    const write = () => within(host(), 'sh', '-c', 'head -c 100000 /dev/zero >> /var/lib/pg-metako/probe')
    write()
    const undo = make({ kind: 'full-disk', ms: 1 })
    expect(write).toThrow('Command failed')
    undo?.()
    write()
  })

  it('stops a process and wakes it, and notes for how long a router stood still; kills it', async () => {
    expect(listenerState()).not.toMatch(/^T?$/)
    const undo = make({ kind: 'freeze', what: 'router', ms: 1 })
    expect(listenerState()).toBe('T')
    undo?.()
    expect(listenerState()).not.toMatch(/^T?$/)
    expect(maker.standstills).toEqual([
      { router: host().name, fromMs: expect.any(Number) as number, toMs: expect.any(Number) as number },
    ])
    make({ kind: 'kill', process: 'router' })
    await eventually('the process is gone', () => listenerState() === '')
  })
})

describePostgres('schedules of chaos on three hosts', (postgres) => {
  for (const mode of ['async', 'quorum'] as const) {
    it.runIf(canMakeHosts())(`keep every promise in ${mode} mode`, async () => {
      const lines: string[] = []
      const binDir = postgres().binaries.folder
      const arena = await Arena.open({ mode, nodes: 3, binDir }, (line) => lines.push(line))
      try {
        for (const seed of SEEDS) {
          const report = await arena.run(drawSchedule({ seed, nodes: 3 }))
          expect(report.violations, lines.join('\n')).toEqual([])
          expect(report.acknowledged).toBeGreaterThan(60)
        }
      } finally {
        await arena.close()
      }
    })
  }
})
