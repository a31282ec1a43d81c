import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../../test/support/eventually.ts'
import { monotonicMs } from '../platform/clock.ts'
import type { GuardReport } from './guard-orders.ts'
import { runGuard, type RunningGuard } from './guard-process.ts'

/** Long past, on this boot's clock. */
const PASSED = 1

describe('the guard', () => {
  let folder: string
  let dataDir: string
  let guard: RunningGuard
  let socketPath: string
  const children: ChildProcess[] = []
  const sockets: Socket[] = []

  beforeEach(async () => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'guard-')))
    dataDir = join(folder, 'data')
    mkdirSync(dataDir)
    socketPath = join(folder, 'guard.sock')
    guard = await runGuard(options())
  })

  afterEach(() => {
    guard.stop()
    for (const socket of sockets.splice(0)) socket.destroy()
    for (const child of children.splice(0)) child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })

  function options() {
    return { socketPath, dataDir, logFile: join(folder, 'guard.log') }
  }

  /** A process of the instance: known by its working directory, as PostgreSQL's are. */
  function instanceProcess(): ChildProcess {
    const child = spawn('sleep', ['60'], { cwd: dataDir, stdio: 'ignore' })
    children.push(child)
    return child
  }

  const isDead = (child: ChildProcess) => child.signalCode === 'SIGKILL'

  async function agent() {
    const socket = createConnection(socketPath)
    sockets.push(socket)
    const reports: GuardReport[] = []
    let rest = ''
    socket.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      reports.push(...lines.map((line) => JSON.parse(line) as GuardReport))
    })
    socket.on('error', () => undefined)
    await eventually('hello', () => reports[0]?.kind === 'hello')
    let id = 0
    const order = async (what: object): Promise<GuardReport> => {
      id += 1
      const own = id
      socket.write(`${JSON.stringify({ ...what, id: own })}\n`)
      return eventually('the answer', () => reports.find((one) => one.kind === 'holds' && one.id === own))
    }
    return { socket, reports, order }
  }

  it('leaves no process of the instance when the deadline passes', async () => {
    const children = [instanceProcess(), instanceProcess()]
    const { reports, order } = await agent()
    await order({ kind: 'arm', until: monotonicMs() + 100 })
    await eventually('all are dead', () => children.every(isDead))
    const fenced = await eventually('the report', () => reports.find(({ kind }) => kind === 'fenced'))
    expect(fenced).toMatchObject({ outcome: 'dead', processes: 2 })
  })

  it('acts without its agent', async () => {
    const child = instanceProcess()
    const { socket, order } = await agent()
    await order({ kind: 'arm', until: monotonicMs() + 150 })
    socket.destroy()
    await eventually('it is dead', () => isDead(child))
    expect(child.signalCode).toBe('SIGKILL')
  })

  it('ends what comes up after the deadline has passed, until it is told otherwise', async () => {
    const { reports, order } = await agent()
    await order({ kind: 'arm', until: PASSED })
    await eventually('the first look', () => reports.some(({ kind }) => kind === 'fenced'))
    const late = instanceProcess()
    await eventually('the late one is dead', () => isDead(late))
    await order({ kind: 'disarm' })
    const standby = instanceProcess()
    const { order: again } = await agent()
    await again({ kind: 'arm', until: monotonicMs() + 60_000 })
    expect(isDead(standby)).toBe(false)
  })

  it('reports once that nothing was left, not at every look', async () => {
    const { reports, order } = await agent()
    await order({ kind: 'arm', until: PASSED })
    await eventually('the first look', () => reports.some(({ kind }) => kind === 'fenced'))
    const child = instanceProcess()
    await eventually('dead', () => isDead(child))
    await eventually('its report', () => reports.filter(({ kind }) => kind === 'fenced').length === 2)
    expect(reports.filter(({ kind }) => kind === 'fenced')).toMatchObject([
      { processes: 0 },
      { processes: 1 },
    ])
  })

  it('never moves a deadline back for an order that was delayed', async () => {
    const { order } = await agent()
    const until = monotonicMs() + 60_000
    await order({ kind: 'arm', until })
    expect(await order({ kind: 'arm', until: PASSED })).toMatchObject({ until })
  })

  it('tells the next agent what it holds', async () => {
    const { order } = await agent()
    const until = monotonicMs() + 60_000
    await order({ kind: 'arm', until })
    const { reports } = await agent()
    expect(reports[0]).toMatchObject({ kind: 'hello', until })
  })

  it('does not end while it is armed, and does after', async () => {
    const { socket, order } = await agent()
    await order({ kind: 'arm', until: monotonicMs() + 60_000 })
    socket.write('{"kind":"stop"}\n')
    expect(await order({ kind: 'disarm' })).toMatchObject({ kind: 'holds' })
    socket.write('{"kind":"stop"}\n')
    await expect(guard.stopped).resolves.toBeUndefined()
  })

  it('can be ended once it has fenced', async () => {
    const { socket, reports, order } = await agent()
    await order({ kind: 'arm', until: PASSED })
    await eventually('fenced', () => reports.some(({ kind }) => kind === 'fenced'))
    socket.write('{"kind":"stop"}\n')
    await expect(guard.stopped).resolves.toBeUndefined()
  })

  it('goes on after a line that is no order', async () => {
    const { socket, order } = await agent()
    socket.write('nonsense\n')
    expect(await order({ kind: 'disarm' })).toMatchObject({ kind: 'holds' })
  })

  it('refuses to be the second one of an instance', async () => {
    await expect(runGuard(options())).rejects.toMatchObject({ code: 'GUARD_RUNNING' })
    const { order } = await agent()
    expect(await order({ kind: 'disarm' })).toMatchObject({ kind: 'holds' })
  })
})
