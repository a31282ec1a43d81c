import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { knock } from '../../src/platform/net.ts'
import { Cluster } from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'
import { faultyPrograms, hasCompiler } from '../support/faulty-host.ts'
import type { Machines, TestNode } from '../support/machines.ts'
import { canMakeHosts, namespaceMachines } from '../support/namespace-machines.ts'
import { withClient } from '../support/numbered-writer.ts'
import { describePostgres } from '../support/postgres.ts'
import { Arena } from './arena.ts'
import { FaultMaker } from './fault-maker.ts'
import { hasQuotas, limitProcessor } from './processor-quota.ts'
import { drawSchedule, type HostFault } from './schedule.ts'

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
  const make = (fault: HostFault, peers?: readonly TestNode[]) => maker.make(fault, { node: host(), peers })
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

describe.runIf(canMakeHosts() && hasQuotas())('a starved group', () => {
  it('has its share of a processor and no more, and is gone afterwards', async () => {
    const spin =
      'const end = Date.now() + 1000; while (Date.now() < end); console.log(process.cpuUsage().user)'
    const child = spawn(process.execPath, ['-e', spin], { stdio: ['ignore', 'pipe', 'inherit'] })
    const end = limitProcessor('test', [child.pid ?? 0], 10)
    const [used] = (await once(child.stdout, 'data')) as [Buffer]
    expect(Number(used)).toBeLessThan(500_000)
    end()
    expect(readdirSync('/sys/fs/cgroup/cpu').filter((name) => name.endsWith(`${process.pid}-test`))).toEqual(
      [],
    )
  })
})

describePostgres('a host with a bad disk and a bad clock', (postgres) => {
  it.runIf(canMakeHosts() && hasCompiler())('is felt by PostgreSQL and by its agent', async () => {
    const programs = faultyPrograms(postgres().binaries.folder)
    const machines = await namespaceMachines({
      from: 'init',
      count: 1,
      diskMb: 512,
      faulty: programs.library,
      edit: (text) => text.replace('postgresql:\n', `postgresql:\n  bin_dir: ${programs.binDir}\n`),
    })
    const cluster = new Cluster(machines)
    const maker = new FaultMaker(cluster, machines)
    try {
      cluster.startAll()
      const node = await cluster.waitForPrimary({ deadlineMs: 60_000 })
      const make = (fault: HostFault) => maker.make(fault, { node, peers: undefined })
      await withClient(cluster.directUrl(node), async (client) => {
        const tookMs = async (sql: string): Promise<number> => {
          const begun = performance.now()
          await client.query(sql)
          return performance.now() - begun
        }
        await client.query('CREATE TABLE written (at timestamptz)')

        make({ kind: 'clock-step', seconds: 86_400 })
        await eventually('PostgreSQL lives a day later', async () => {
          const { rows } = await client.query<{ ms: number }>('SELECT extract(epoch FROM now()) * 1000 AS ms')
          return Number(rows[0]?.ms) - Date.now() > 86_000_000
        })
        await eventually('so does its agent', async () => {
          return Date.parse((await cluster.view()).takenAt) - Date.now() > 86_000_000
        })
        make({ kind: 'clock-step', seconds: -86_400 })

        const undoSlow = make({ kind: 'disk', of: 'postgres', how: 300, ms: 1 })
        expect(await tookMs('INSERT INTO written VALUES (now())')).toBeGreaterThan(300)
        undoSlow?.()

        const undoStall = make({ kind: 'disk', of: 'all', how: 'stall', ms: 1 })
        const inserted = client.query('INSERT INTO written VALUES (now())')
        await withClient(cluster.directUrl(node), (other) =>
          eventually('the write hangs in its disk', async () => {
            const { rows } = await other.query(
              "SELECT FROM pg_stat_activity WHERE query LIKE 'INSERT%' AND wait_event ~* '^wal(write|sync)$'",
            )
            return rows.length > 0
          }),
        )
        undoStall?.()
        await inserted
      })
    } finally {
      await cluster.dispose()
      programs.dispose()
    }
  })
})

describePostgres('schedules of chaos on three hosts', (postgres) => {
  for (const mode of ['async', 'quorum'] as const) {
    it.runIf(canMakeHosts())(`keep every promise in ${mode} mode`, async () => {
      const lines: string[] = []
      const binDir = postgres().binaries.folder
      const arena = await Arena.open({ mode, nodes: 3, profile: 'lan', binDir }, (line) => lines.push(line))
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
