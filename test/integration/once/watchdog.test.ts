import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { GuardOptions, GuardOrder, GuardReport } from '../../../src/guard/guard-orders.ts'
import type { WatchdogPlan } from '../../../src/model/watchdog.ts'
import { monotonicMs } from '../../../src/platform/clock.ts'
import { eventually } from '../../support/eventually.ts'
import { REPOSITORY_ROOT } from '../../support/repository-root.ts'

const MAIN = join(REPOSITORY_ROOT, 'dist/main.js')
const TIMEOUT_MS = 2000
const AFTER_MS = 200
/** What the kernel's pipe, and a test on a busy processor, put between a kick and its time here. */
const LATENESS_MS = 1000

/** As an agent renews its lease: the guard hears of a later deadline all the time. Ends the host's PostgreSQL with nothing. */
const AGENT = `
  const socket = require('node:net').createConnection(process.env.SOCKET)
  let id = 1000
  const arm = () => socket.write(JSON.stringify({ kind: 'arm', id: id++, until: performanceNow() + 2700 }) + '\\n')
  const performanceNow = () => Number(process.hrtime.bigint()) / 1e6
  socket.on('connect', () => { arm(); setInterval(arm, 300) })
`

describe('a real guard with a watchdog', () => {
  let folder: string
  let device: string
  let sysfs: string
  let options: GuardOptions
  let reader: NodeJS.Timeout
  let pipe: number
  /** What came out of the device's file, and when. */
  let written: { readonly at: number; readonly text: string }[]
  const children: ChildProcess[] = []
  const sockets: Socket[] = []

  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'watchdog-')))
    device = join(folder, 'watchdog0')
    execFileSync('mkfifo', [device])
    pipe = openSync(device, constants.O_RDWR | constants.O_NONBLOCK)
    written = []
    reader = setInterval(readAll, 5)
    sysfs = join(folder, 'sysfs')
    mkdirSync(join(sysfs, 'watchdog0'), { recursive: true })
    sets({ timeout: '2', min_timeout: '1', max_timeout: '65535', nowayout: '0', state: 'inactive' })
    const wdctl = join(folder, 'wdctl')
    writeFileSync(wdctl, `#!/bin/sh\necho "$2" > "${sysfs}/watchdog0/timeout"\n`)
    chmodSync(wdctl, 0o755)
    const dataDir = join(folder, 'data')
    mkdirSync(dataDir)
    options = {
      socketPath: join(folder, 'guard.sock'),
      dataDir,
      logFile: join(folder, 'guard.log'),
      watchdogFolders: { sysfs, wdctl },
    }
  })

  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy()
    for (const child of children.splice(0)) child.kill('SIGKILL')
    clearInterval(reader)
    closeSync(pipe)
    rmSync(folder, { recursive: true, force: true })
  })

  function sets(values: Readonly<Record<string, string>>): void {
    for (const [name, value] of Object.entries(values)) {
      writeFileSync(join(sysfs, 'watchdog0', name), `${value}\n`)
    }
  }

  /** What lies in the pipe, with the time at which it was found there. */
  function readAll(): void {
    const bytes = Buffer.alloc(256)
    try {
      const count = readSync(pipe, bytes)
      if (count > 0) written.push({ at: monotonicMs(), text: bytes.toString('latin1', 0, count) })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    }
  }

  const text = () => written.map((one) => one.text).join('')
  const lastKick = () => written.findLast((one) => one.text.includes('\0'))?.at ?? 0

  function startGuard(): ChildProcess {
    const env = { ...process.env, PG_METAKO_GUARD: JSON.stringify(options) }
    const guard = spawn(process.execPath, [MAIN, 'guard'], { env, stdio: 'ignore' })
    children.push(guard)
    return guard
  }

  function startPostgres(): ChildProcess {
    const child = spawn('sleep', ['120'], { cwd: options.dataDir, stdio: 'ignore' })
    children.push(child)
    return child
  }

  function startAgent(): ChildProcess {
    const env = { ...process.env, SOCKET: options.socketPath }
    const agent = spawn(process.execPath, ['-e', AGENT], { env, stdio: 'ignore' })
    children.push(agent)
    return agent
  }

  async function converse() {
    const reports: GuardReport[] = []
    const socket = await eventually('the guard to listen', () => tryToConnect(options.socketPath))
    sockets.push(socket)
    let rest = ''
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      reports.push(...lines.map((line) => JSON.parse(line) as GuardReport))
    })
    const tell = (order: GuardOrder) => socket.write(`${JSON.stringify(order)}\n`)
    const plan: WatchdogPlan = { device, timeoutMaxS: TIMEOUT_MS / 1000, afterDeadlineMs: AFTER_MS }
    tell({ kind: 'use-watchdog', plan })
    const heard = (state: string) =>
      eventually(`the watchdog to be ${state}`, () =>
        reports.findLast((one) => one.kind === 'watchdog' && one.state.state === state),
      )
    return { tell, heard, reports }
  }

  it('kicks while its agent renews, and lets go with the magic close in order', async () => {
    startGuard()
    const { tell, heard } = await converse()
    await heard('usable')
    tell({ kind: 'arm', id: 1, until: monotonicMs() + 60_000 })
    await heard('armed')
    await eventually('ten kicks', () => text().length >= 10)
    tell({ kind: 'disarm', id: 2 })
    await eventually('the magic close', () => text().endsWith('V'))
    expect(text()).toMatch(/^\0+V$/)
  })

  it('sets a timeout that does not fit, before it opens the device', async () => {
    sets({ timeout: '60' })
    startGuard()
    const { tell, heard } = await converse()
    await heard('usable')
    expect(readFileSync(join(sysfs, 'watchdog0/timeout'), 'utf8').trim()).toBe('2')
    tell({ kind: 'arm', id: 1, until: monotonicMs() + 60_000 })
    await heard('armed')
    tell({ kind: 'disarm', id: 2 })
    await eventually('the magic close', () => text().endsWith('V'))
  })

  it('says what is wrong with one that cannot be stopped', async () => {
    sets({ nowayout: '1' })
    startGuard()
    const { heard } = await converse()
    expect(await heard('unfit')).toMatchObject({ state: { why: /nowayout/ } })
    expect(text()).toBe('')
  })

  it.each(['SIGKILL', 'SIGSTOP'] as const)(
    'stops to kick so early after %s of its agent that the host would end before the lease, fences, and then lets go',
    async (signal) => {
      const postgres = startPostgres()
      startGuard()
      const { heard } = await converse()
      await heard('usable')
      const agent = startAgent()
      await eventually('ten kicks', () => text().length >= 10)
      agent.kill(signal)
      const until = monotonicMs() + 2700
      await eventually('the fence', () => postgres.signalCode === 'SIGKILL')
      await eventually('the magic close', () => text().endsWith('V'))
      expect(text()).toMatch(/^\0+V$/)
      expect(lastKick() + TIMEOUT_MS).toBeLessThan(until + AFTER_MS + LATENESS_MS)
    },
  )

  it('kicks no more once it was stopped itself for longer than the lease, and fences when it goes on', async () => {
    const postgres = startPostgres()
    const guard = startGuard()
    const { tell, heard } = await converse()
    await heard('usable')
    const until = monotonicMs() + 2700
    tell({ kind: 'arm', id: 1, until })
    await eventually('a kick', () => text().length > 0)
    guard.kill('SIGSTOP')
    await eventually('the end of the lease', () => monotonicMs() > until + 500)
    const before = text().length
    guard.kill('SIGCONT')
    await eventually('the fence', () => postgres.signalCode === 'SIGKILL')
    await eventually('the magic close', () => text().endsWith('V'))
    expect(text().slice(before)).toBe('V')
  })

  it('leaves the device running when it is killed, and the next one goes on with it', async () => {
    const guard = startGuard()
    const first = await converse()
    await first.heard('usable')
    first.tell({ kind: 'arm', id: 1, until: monotonicMs() + 60_000 })
    await first.heard('armed')
    guard.kill('SIGKILL')
    await eventually('its end', () => guard.signalCode === 'SIGKILL')
    expect(text()).toMatch(/^\0+$/)
    startGuard()
    const next = await converse()
    await next.heard('usable')
    const before = text().length
    next.tell({ kind: 'arm', id: 1, until: monotonicMs() + 60_000 })
    await next.heard('armed')
    await eventually('more kicks', () => text().length > before)
    next.tell({ kind: 'disarm', id: 2 })
    await eventually('the magic close', () => text().endsWith('V'))
  })
})

async function tryToConnect(path: string): Promise<Socket | undefined> {
  const socket = createConnection(path)
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(socket))
    socket.once('error', () => resolve(undefined))
  })
}
