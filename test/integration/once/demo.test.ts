import { existsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { canEnter, findDatabaseUser } from '../../../src/platform/os-user.ts'
import { processStat } from '../../../src/platform/process.ts'
import { DemoFolder, type Started } from '../../support/demo-process.ts'
import { eventually } from '../../support/eventually.ts'
import { withClient } from '../../support/numbered-writer.ts'

/** What the README promises for every way to stop. */
const STOPPED_MS = 10_000

/** A terminal's second page and no cursor; and back. */
const ENTERED = '\u001b[?1049h\u001b[?25l'
const LEFT = '\u001b[?25h\u001b[?1049l'

const ask = (url: string, sql: string) =>
  withClient(url, async (client) => (await client.query<Record<string, unknown>>(sql)).rows[0])

describe('the demo of three nodes', () => {
  let folder: DemoFolder
  let demo: Started

  beforeAll(async () => {
    folder = await DemoFolder.make()
    demo = folder.start([])
    await folder.ready(demo)
  })

  afterAll(() => folder?.dispose())

  it('says without a terminal where applications connect, and then that it is ready', () => {
    const { portBase } = folder
    const password = /app:([\w-]+)@/.exec(demo.out)?.[1]
    expect(demo.out.split('\n')).toEqual([
      `primary postgresql://app:${password}@127.0.0.1:${5433 + portBase}/app`,
      `replica postgresql://app:${password}@127.0.0.1:${5434 + portBase}/app`,
      `pooled postgresql://app:${password}@127.0.0.1:${6432 + portBase}/app`,
      `api http://127.0.0.1:${8008 + portBase}/`,
      `dashboard http://127.0.0.1:${8008 + portBase}/dashboard/`,
      expect.stringMatching(/^ready in \d+\.\d s$/),
      '',
    ])
  })

  it('keeps the same in a file that only its owner may read, with the pids of what runs', () => {
    expect(statSync(join(folder.root, 'demo.json')).mode & 0o777).toBe(0o600)
    const state = folder.state()
    expect(demo.out).toContain(`primary ${state.primary}\n`)
    expect(state.nodes.map(({ name }) => name)).toEqual(['node1', 'node2', 'node3'])
    for (const { pids } of state.nodes) {
      for (const pid of [pids.agent, pids.postmaster, pids.guard, pids.router]) {
        expect(processStat(pid ?? -1)?.pid).toBe(pid)
      }
    }
  })

  it('takes writes on the primary’s port, reads on the replicas’, both on the pooled one', async () => {
    const state = folder.state()
    await ask(state.primary, 'CREATE TABLE kept (a int)')
    const where = 'SELECT pg_is_in_recovery() AS standby, current_user AS who'
    expect(await ask(state.primary, where)).toEqual({ standby: false, who: 'app' })
    expect(await ask(state.replica, where)).toEqual({ standby: true, who: 'app' })
    expect(await ask(state.pooled, where)).toEqual({ standby: false, who: 'app' })
  })

  it('is found by the other commands', async () => {
    const { code, out } = await folder.run('list')
    expect(code).toBe(0)
    for (const name of ['node1', 'node2', 'node3']) expect(out).toContain(name)
  })

  it('names port, process and way out when a port is busy, and moves nowhere', async () => {
    const other = await DemoFolder.make()
    try {
      const state = folder.state()
      const { code, out, err } = await other.run('demo', '--port-base', String(folder.portBase))
      expect({ code, out }).toEqual({ code: 1, out: '' })
      const [first] = state.nodes
      expect(err).toContain(
        `port ${first?.ports.api} (API of node1) is used by process ${first?.pids.agent} (node)`,
      )
      expect(err).toContain('--port-base')
      expect(existsSync(join(other.root, 'demo.json'))).toBe(false)
    } finally {
      await other.dispose()
    }
  })

  it('is one at a time in a folder', async () => {
    const { code, err } = await folder.run('demo')
    expect(code).toBe(1)
    expect(err).toContain(`already runs in "${folder.root}" (process ${demo.child.pid})`)
  })

  it('keeps its data where the database user can go', () => {
    const user = findDatabaseUser({})
    for (const { dataDir } of folder.state().nodes) expect(canEnter(join(dataDir, '..'), user)).toBe(true)
  })

  it('kills the primary when asked, and another node takes over', async () => {
    const before = folder.state()
    const { code, out } = await folder.run('demo', 'kill', 'primary')
    expect({ code, out }).toEqual({
      code: 0,
      out: expect.stringMatching(/killed PostgreSQL of node\d, the primary/),
    })
    const old = /of (node\d)/.exec(out)?.[1]
    await eventually(
      'a write through the router',
      async () => {
        const row = await ask(before.primary, 'SELECT inet_server_port() AS port').catch(() => undefined)
        const own = before.nodes.find(({ name }) => name === old)?.ports.postgres
        return row !== undefined && row['port'] !== own
      },
      30_000,
    )
  })

  it('goes on with the agents that a killed demo left, and they notice nothing', async () => {
    const before = folder.state()
    demo.child.kill('SIGKILL')
    await folder.ended(demo, 2000)
    expect(folder.pids().length).toBeGreaterThan(0)
    demo = folder.start([])
    await folder.ready(demo)
    expect(folder.state().nodes.map(({ pids }) => pids.agent)).toEqual(
      before.nodes.map(({ pids }) => pids.agent),
    )
  })

  it('stops everything on SIGTERM within 10 s', async () => {
    demo.child.kill('SIGTERM')
    const { code, err } = await folder.ended(demo, STOPPED_MS)
    expect({ code, left: folder.pids() }).toEqual({ code: 0, left: [] })
    expect(err).toMatch(/stopped in \d\.\d s/)
    expect(folder.state().supervisor).toBeUndefined()
  })

  it('finds its data again at the next start, and stops when asked from elsewhere', async () => {
    demo = folder.start([])
    await folder.ready(demo)
    expect(await ask(folder.state().primary, 'SELECT count(*)::int AS n FROM kept')).toEqual({ n: 0 })
    const { code } = await folder.run('demo', 'stop')
    expect({ code, left: folder.pids() }).toEqual({ code: 0, left: [] })
    await folder.ended(demo, 1000)
  })

  it('removes all that it ever wrote', async () => {
    const outside = folder.state().outside
    writeFileSync(join(folder.root, 'mine.txt'), 'not of the demo')
    const { code } = await folder.run('demo', 'clean')
    expect(code).toBe(0)
    for (const path of [...outside, join(folder.root, 'demo.json'), join(folder.root, 'node1')]) {
      expect(existsSync(path), path).toBe(false)
    }
    expect(existsSync(join(folder.root, 'mine.txt'))).toBe(true)
  })
})

/** One node is enough to see whether something is left. */
describe('the demo of one node leaves no process behind', () => {
  let folder: DemoFolder

  beforeAll(async () => {
    folder = await DemoFolder.make()
  })
  afterAll(() => folder?.dispose())

  async function begin(command?: readonly string[]): Promise<Started> {
    const demo = folder.start(['--nodes', '1'], command)
    await folder.ready(demo)
    return demo
  }

  async function healthyOn(terminal: Started): Promise<void> {
    await eventually(
      () => `the live view to say healthy\n${terminal.out.slice(-2000)}`,
      () => {
        if (terminal.hasEnded) throw new Error(`The demo ended:\n${terminal.out}`)
        return terminal.out.includes('healthy')
      },
      60_000,
    )
  }

  it('on Ctrl-C', async () => {
    const demo = await begin()
    demo.child.kill('SIGINT')
    expect((await folder.ended(demo, STOPPED_MS)).code).toBe(0)
    expect(folder.pids()).toEqual([])
  })

  it('on a second Ctrl-C at once', async () => {
    const demo = await begin()
    demo.child.kill('SIGINT')
    demo.child.kill('SIGINT')
    await folder.ended(demo, 4000)
    expect(folder.pids()).toEqual([])
  })

  it('when its terminal is closed', async () => {
    // "script" gives it a terminal; killed, it takes the terminal with it.
    const command = ['script', '-q', '-c', folder.commandLine('--nodes', '1'), '/dev/null']
    const terminal = folder.start([], command)
    await healthyOn(terminal)
    terminal.child.kill('SIGKILL')
    expect(await folder.nothingLeft(STOPPED_MS)).toBe(true)
  })

  it('and puts the terminal back as it was', async () => {
    const command = ['script', '-q', '-c', folder.commandLine('--nodes', '1'), '/dev/null']
    const terminal = folder.start([], command)
    await healthyOn(terminal)
    process.kill(folder.state().supervisor?.pid ?? 0, 'SIGINT')
    const { out } = await folder.ended(terminal, STOPPED_MS)
    expect(out.startsWith(ENTERED)).toBe(true)
    expect(out.slice(out.lastIndexOf(LEFT))).toMatch(/stopped in \d\.\d s/)
    expect(out.slice(out.lastIndexOf(LEFT) + LEFT.length)).not.toContain('\u001b')
    expect(folder.pids()).toEqual([])
  })

  it.each(['SIGKILL', 'SIGTERM'] as const)('when the npm that started it ends by %s', async (signal) => {
    writeFileSync(
      join(folder.cwd, 'package.json'),
      JSON.stringify({ name: 'x', scripts: { start: `true && ${folder.commandLine('--nodes', '1')}` } }),
    )
    const npm = await begin(['npm', 'start', '--silent'])
    npm.child.kill(signal)
    expect(await folder.nothingLeft(STOPPED_MS)).toBe(true)
  })

  it('when it is stopped after its supervisor was killed', async () => {
    const demo = await begin()
    demo.child.kill('SIGKILL')
    await folder.ended(demo, 1000)
    expect((await folder.run('demo', 'stop')).code).toBe(0)
    expect(folder.pids()).toEqual([])
  })

  it('and begins anew with --fresh', async () => {
    const demo = await begin()
    const before = folder.state()
    await ask(before.primary, 'CREATE TABLE gone (a int)')
    demo.child.kill('SIGTERM')
    await folder.ended(demo, STOPPED_MS)
    const fresh = folder.start(['--nodes', '1', '--fresh'])
    await folder.ready(fresh)
    expect(await ask(folder.state().primary, "SELECT to_regclass('gone') AS t")).toEqual({ t: null })
    expect(folder.state().primary).not.toBe(before.primary)
    fresh.child.kill('SIGTERM')
    await folder.ended(fresh, STOPPED_MS)
    expect(folder.pids()).toEqual([])
  })
})
