import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../../test/support/eventually.ts'
import type { GuardOrder } from '../guard/guard-orders.ts'
import type { WatchdogState } from '../model/watchdog.ts'
import type { MonotonicMs } from '../model/time.ts'
import { monotonicMs } from '../platform/clock.ts'
import { silentLogger } from '../platform/log.ts'
import type { Clock } from '../ha/ports.ts'
import { realClock } from './clock.ts'
import { GuardClient, type GuardClientDeps } from './guard-client.ts'
import { guardDoor } from './guard-door.ts'

const soon = () => (monotonicMs() + 60_000) as MonotonicMs

/** The other end of the socket, played by the test: it can be silent, die, and come back with nothing in its hands. */
class PlayedGuard {
  readonly orders: GuardOrder[] = []
  readonly #path: string
  #server: Server | undefined
  #sockets = new Set<Socket>()
  isAnswering = true
  /** Absent: it is of a release that knows none. */
  watchdog: WatchdogState | undefined
  until: number | undefined

  constructor(path: string) {
    this.#path = path
  }

  async live(): Promise<void> {
    rmSync(this.#path, { force: true })
    const server = createServer((socket) => this.#serve(socket))
    this.#server = server
    await new Promise<void>((resolve) => server.listen(this.#path, resolve))
  }

  die(): void {
    this.#server?.close()
    for (const socket of this.#sockets) socket.destroy()
    this.until = undefined
  }

  say(report: object): void {
    for (const socket of this.#sockets) socket.write(`${JSON.stringify(report)}\n`)
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket))
    socket.on('error', () => undefined)
    // A pid that exists for nobody: nothing may ever be signalled here.
    socket.write(
      `${JSON.stringify({ kind: 'hello', pid: 4_999_999, until: this.until, watchdog: this.watchdog })}\n`,
    )
    socket.setEncoding('utf8').on('data', (text: string) => {
      for (const line of text.trim().split('\n')) {
        const order = JSON.parse(line) as GuardOrder
        this.orders.push(order)
        if (!('id' in order) || !this.isAnswering) continue
        this.until = order.kind === 'arm' ? order.until : undefined
        socket.write(`${JSON.stringify({ kind: 'holds', id: order.id, until: this.until })}\n`)
      }
    })
  }
}

/** Real time, and as much more as the test lets pass at once. */
class HurriedClock implements Clock {
  #passed = 0
  readonly #timers = new Map<object, { readonly at: number; readonly run: () => void }>()

  readonly monotonic = (): MonotonicMs => (realClock.monotonic() + this.#passed) as MonotonicMs
  readonly wall = (): number => realClock.wall()

  readonly after = (ms: number, task: () => void): (() => void) => {
    const timer = {}
    const run = () => {
      cancel()
      task()
    }
    const stop = realClock.after(ms, run)
    const cancel = () => {
      stop()
      this.#timers.delete(timer)
    }
    this.#timers.set(timer, { at: this.monotonic() + ms, run })
    return cancel
  }

  pass(ms: number): void {
    this.#passed += ms
    for (const { at, run } of [...this.#timers.values()]) if (at <= this.monotonic()) run()
  }
}

describe('GuardClient', () => {
  let folder: string
  let guard: PlayedGuard
  let clock: HurriedClock
  let starts = 0
  let client: GuardClient
  let create: (watchdog?: GuardClientDeps['watchdog']) => GuardClient
  let fenced = 0

  beforeEach(async () => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'guard-client-')))
    const socketPath = join(folder, 'guard.sock')
    guard = new PlayedGuard(socketPath)
    await guard.live()
    fenced = 0
    starts = 0
    clock = new HurriedClock()
    const log = silentLogger()
    const door = guardDoor(log, {
      socketPath,
      dataDir: join(folder, 'data'),
      logFile: join(folder, 'guard.log'),
    })
    create = (watchdog) =>
      new GuardClient({
        clock,
        log,
        door: { ...door, start: () => void (starts += 1) },
        onFenced: () => (fenced += 1),
        onState: () => undefined,
        watchdog,
      })
    client = create()
  })

  afterEach(() => {
    client.detach()
    guard.die()
    rmSync(folder, { recursive: true, force: true })
  })

  async function connected(): Promise<void> {
    client.start()
    await eventually('hello', () => client.pid)
  }

  it('finds a guard that an earlier agent armed, and prolongs its deadline', async () => {
    guard.until = soon()
    await connected()
    expect(client.state()).toBe('armed')
    client.arm(soon())
    await eventually('the order', () => guard.orders.find(({ kind }) => kind === 'arm'))
  })

  it('arms nothing by prolonging: an idle guard stays idle', async () => {
    await connected()
    client.arm(soon())
    await client.disarmAndConfirm()
    client.arm(soon())
    await client.disarmAndConfirm()
    expect(guard.orders.map(({ kind }) => kind)).toEqual(['disarm', 'disarm'])
  })

  it('confirms only what the guard says that it holds', async () => {
    await connected()
    const until = soon()
    await client.armAndConfirm(until)
    expect(guard.until).toBe(until)
    expect(client.state()).toBe('armed')
  })

  it('holds an order for a guard that is still starting', async () => {
    guard.die()
    client.start()
    const armed = client.armAndConfirm(soon())
    await guard.live()
    await armed
    expect(client.state()).toBe('armed')
  })

  it('refuses after a bounded time when no guard answers', async () => {
    await connected()
    guard.isAnswering = false
    const armed = client.armAndConfirm(soon())
    clock.pass(2000)
    await expect(armed).rejects.toMatchObject({ code: 'GUARD_ABSENT' })
  })

  it('counts a guard that does not answer as absent', async () => {
    await connected()
    await client.armAndConfirm(soon())
    guard.isAnswering = false
    client.arm(soon())
    clock.pass(1000)
    expect(client.state()).toBe('armed')
    clock.pass(1000)
    expect(client.state()).toBe('absent')
    expect(client.pid).toBeDefined()
  })

  it('tells a guard that was started anew the newest deadline, not the one that its predecessor held', async () => {
    await connected()
    await client.armAndConfirm(soon())
    guard.die()
    await eventually('it is missed', () => client.state() === 'absent')
    expect(starts).toBe(1)
    const newest = (monotonicMs() + 90_000) as MonotonicMs
    client.arm(newest)
    await guard.live()
    await eventually('it holds', () => guard.until === newest)
    await eventually('its word is heard', () => client.state() === 'armed')
  })

  describe('with a watchdog', () => {
    const plan = { device: '/dev/watchdog', timeoutMaxS: 2, afterDeadlineMs: 200 }

    beforeEach(() => {
      guard.watchdog = { state: 'usable' }
      client = create({ mode: 'required', plan })
    })

    it('tells its guard which one before any deadline', async () => {
      await connected()
      guard.say({ kind: 'watchdog', state: { state: 'armed' } })
      await eventually('the news', () => client.watchdog()?.state === 'armed')
      await client.armAndConfirm(soon())
      expect(guard.orders.map(({ kind }) => kind)).toEqual(['use-watchdog', 'arm'])
      expect(guard.orders[0]).toEqual({ kind: 'use-watchdog', plan })
    })

    it('is no primary where the required one does not run, and says why', async () => {
      await connected()
      guard.say({ kind: 'watchdog', state: { state: 'unfit', why: 'another program holds it' } })
      await eventually('the news', () => client.watchdog()?.state === 'unfit')
      await expect(client.armAndConfirm(soon())).rejects.toMatchObject({
        code: 'WATCHDOG_UNUSABLE',
        message: /another program holds it/,
      })
    })

    it('is fenced by a device that its dead guard left running, and by nothing where there was none', async () => {
      await connected()
      guard.say({ kind: 'watchdog', state: { state: 'armed' } })
      await eventually('the news', () => client.watchdog()?.state === 'armed')
      guard.die()
      await eventually('it is missed', () => client.state() === 'absent')
      expect(client.isUnfenced()).toBe(false)
      guard.watchdog = { state: 'absent', why: 'there is none' }
      await guard.live()
      await eventually('the next one', () => client.state() !== 'absent')
      expect(client.isUnfenced()).toBe(false)
      guard.die()
      await eventually('it is missed', () => client.state() === 'absent')
      expect(client.isUnfenced()).toBe(true)
    })

    it('asks nothing of a guard of an older release, which would let go of its deadline', async () => {
      guard.watchdog = undefined
      await connected()
      expect(client.watchdog()).toMatchObject({ mode: 'required', state: 'unfit', why: /older release/ })
      await client.disarmAndConfirm()
      expect(guard.orders.map(({ kind }) => kind)).toEqual(['disarm'])
    })
  })

  it('says that PostgreSQL was fenced', async () => {
    guard.until = soon()
    await connected()
    guard.say({ kind: 'fenced', at: 1, outcome: 'dead', processes: 3 })
    await eventually('the news', () => fenced === 1)
    expect(client.state()).toBe('idle')
  })
})
