import { mkdtempSync, realpathSync, rmSync, statSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../../test/support/eventually.ts'
import { poolOptions } from '../../test/support/pool-options.ts'
import type { CancelOrder } from '../model/cancel-order.ts'
import type { RoutingTableMessage } from '../model/routing-table.ts'
import { silentLogger } from '../platform/log.ts'
import { RouterLink } from './router-link.ts'

describe('RouterLink', () => {
  let folder: string
  let socketPath: string
  let link: RouterLink
  let started: number
  let epoch: number
  let padding: string
  let members: { name: string; apiUrl: string }[]
  let elsewhere: CancelOrder[]
  const sockets: Socket[] = []

  beforeEach(async () => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'router-link-')))
    socketPath = join(folder, 'agent.sock')
    started = 0
    elsewhere = []
    epoch = 7
    padding = ''
    const table = (): RoutingTableMessage => ({
      epoch,
      replicas: [],
      validForMs: 1,
      bootId: `boot${padding}`,
    })
    members = [{ name: 'n2', apiUrl: 'http://10.0.0.2:8008' }]
    link = new RouterLink(
      {
        log: silentLogger(),
        table,
        members: () => members,
        settings: () => poolOptions({ defaultPoolSize: 7 }),
        reload: () => Promise.resolve({ refusal: 'line 3 is wrong' }),
        startRouter: () => (started += 1),
        cancelElsewhere: (order) => {
          elsewhere.push(order)
          return Promise.resolve()
        },
      },
      socketPath,
    )
    await link.start(50)
  })

  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy()
    link.detach()
    rmSync(folder, { recursive: true, force: true })
  })

  async function router(role: 'router' | 'worker' | 'retiring' = 'router', pid = 77) {
    const socket = createConnection(socketPath)
    sockets.push(socket)
    let text = ''
    socket.setEncoding('utf8').on('data', (more: string) => (text += more))
    socket.on('error', () => undefined)
    socket.write(`${JSON.stringify({ role, pid })}\n`)
    const lines = () => text.trim().split('\n')
    await eventually('a table', () => text.includes('\n'))
    return { socket, lines }
  }

  it('passes on that files are to be read again', async () => {
    const { lines } = await router()
    link.reload()
    const orders = () => lines().filter((line) => line.includes('kind":"reload"'))
    await eventually('the order', () => orders().length > 0)
    expect(JSON.parse(orders()[0] ?? '')).toMatchObject({ kind: 'reload', pool: { defaultPoolSize: 7 } })
  })

  it('gives a router that comes the settings of today, and a worker none', async () => {
    const settings = (lines: () => string[]) => lines().filter((line) => line.includes('"settings"'))
    const { lines } = await router()
    expect(JSON.parse(settings(lines)[0] ?? '')).toMatchObject({ pool: { defaultPoolSize: 7 } })
    const worker = await router('worker', 78)
    expect(settings(worker.lines)).toEqual([])
  })

  it('reads the configuration again when a router asks for it', async () => {
    const { socket, lines } = await router('worker', 78)
    socket.write('{"kind":"reload","id":5}\n')
    await eventually('the answer', () => lines().at(-1)?.includes('reloaded'))
    expect(JSON.parse(lines().at(-1) ?? '')).toEqual({ kind: 'reloaded', id: 5, refusal: 'line 3 is wrong' })
  })

  it('gives a router that comes the newest table at once, and every change', async () => {
    const { lines } = await router()
    expect(link.pid).toBe(77)
    epoch = 8
    link.push()
    await eventually('the new table', () => lines().at(-1)?.includes('"epoch":8'))
    expect(started).toBe(0)
  })

  it('says whom the router may ask while this agent is gone, at once and whenever they change', async () => {
    const { lines } = await router()
    const told = () => lines().filter((line) => line.includes('"kind":"members"'))
    expect(told()).toHaveLength(1)
    expect(told()[0]).toContain('10.0.0.2')
    members = [{ name: 'n4', apiUrl: 'http://10.0.0.4:8008' }]
    link.push()
    link.push()
    await eventually('the new member', () => told().at(-1)?.includes('10.0.0.4'))
    expect(lines().at(-1)).toContain('"epoch"')
  })

  it('starts a router when none of an earlier life comes back in time', async () => {
    await eventually('a start', () => started > 0)
    expect(link.pid).toBeUndefined()
  })

  it('starts another when it dies', async () => {
    const { socket } = await router()
    socket.destroy()
    await eventually('a start', () => started > 0)
    expect(link.pid).toBeUndefined()
  })

  it('tells workers the table and nothing else, and takes none of them for the router', async () => {
    const worker = await router('worker', 78)
    await eventually('a start', () => started > 0)
    expect(link.pid).toBeUndefined()
    const { lines } = await router()
    link.reload()
    epoch = 8
    link.push()
    const hasNew = (each: () => string[]) => each().at(-1)?.includes('"epoch":8') === true
    await eventually('the new table', () => hasNew(lines) && hasNew(worker.lines))
    expect(worker.lines().filter((line) => line.includes('reload'))).toEqual([])
    expect(link.pid).toBe(77)
  })

  it('adds up the counters of all workers', async () => {
    const [one, other] = [await router('worker', 1), await router('worker', 2)]
    for (const { socket } of [one, other])
      socket.write('{"kind":"totals","totals":[{"port":"pooled","queries":3,"errors":0}]}\n')
    await eventually('both', () => link.totals[0]?.queries === 6)
    one.socket.destroy()
    const more = await router('worker', 3)
    more.socket.write('{"kind":"totals","totals":[{"port":"pooled","queries":1,"errors":0}]}\n')
    await eventually('all three', () => link.totals[0]?.queries === 7)
    expect(link.totals).toHaveLength(1)
  })

  it('has another router take the place of the one that runs, and feeds both', async () => {
    const old = await router()
    const outcome = link.restart({
      command: ['node', 'main.js', 'router'],
      options: { new: 1 },
      withinMs: 500,
    })
    expect(await link.restart({ command: [], options: {}, withinMs: 0 })).toMatchObject({ reason: 'BUSY' })
    await eventually('the order', () => old.lines().at(-1)?.includes('restart'))
    expect(JSON.parse(old.lines().at(-1) ?? '')).toEqual({
      kind: 'restart',
      command: ['node', 'main.js', 'router'],
      options: { new: 1 },
      withinMs: 500,
    })
    const next = await router('router', 78)
    old.socket.write('{"role":"retiring","pid":77}\n')
    expect(await outcome).toEqual({ kind: 'restarted', router: 78, retiring: 77 })
    expect(link.pid).toBe(78)
    epoch = 8
    link.push()
    const hasNew = (each: () => string[]) => each().at(-1)?.includes('"epoch":8') === true
    await eventually('the new table', () => hasNew(old.lines) && hasNew(next.lines))
    old.socket.destroy()
    next.socket.destroy()
    await eventually('a start, since the next one has ended', () => started > 0)
  })

  it('waits for the next router where it hears first that the old one retires', async () => {
    const old = await router()
    const outcome = link.restart({ command: [], options: {}, withinMs: 0 })
    await eventually('the order', () => old.lines().at(-1)?.includes('restart'))
    const before = old.lines().length
    old.socket.write('{"role":"retiring","pid":77}\n')
    await eventually('an answer to it', () => old.lines().length > before)
    await router('router', 78)
    expect(await outcome).toEqual({ kind: 'restarted', router: 78, retiring: 77 })
  })

  it('says why no other router took over', async () => {
    const order = { command: [], options: {}, withinMs: 0 }
    expect(await link.restart(order)).toEqual({ kind: 'refused', reason: 'NO_ROUTER' })
    const { socket } = await router()
    const failing = link.restart(order)
    socket.write('{"kind":"restart-failed"}\n')
    expect(await failing).toEqual({ kind: 'refused', reason: 'FAILED' })
    const dying = link.restart(order)
    socket.destroy()
    expect(await dying).toEqual({ kind: 'refused', reason: 'FAILED' })
  })

  it('starts a router beside one that only ends behind its clients', async () => {
    await router('retiring')
    await eventually('a start', () => started > 0)
    expect(link.pid).toBeUndefined()
  })

  it('has other nodes look for a key that the router does not know, and says when they have', async () => {
    const { socket, lines } = await router()
    socket.write('{"kind":"cancel","id":5,"processId":7,"secret":"AAAA"}\n')
    await eventually('the end', () => lines().at(-1)?.includes('cancelled'))
    expect(JSON.parse(lines().at(-1) ?? '')).toEqual({ kind: 'cancelled', id: 5 })
    expect(elsewhere).toEqual([{ processId: 7, secret: 'AAAA' }])
  })

  it('has all routers of this node look for a key of another node', async () => {
    expect(await link.cancel({ processId: 7, secret: 'AAAA' })).toBe(false)
    const [old, next] = [await router('retiring', 76), await router()]
    const outcome = link.cancel({ processId: 7, secret: 'AAAA' })
    for (const [index, { socket, lines }] of [old, next].entries()) {
      await eventually('the question', () => lines().at(-1)?.includes('"cancel"'))
      const { id } = JSON.parse(lines().at(-1) ?? '') as { id: number }
      socket.write(`${JSON.stringify({ kind: 'cancelled', id, isKnown: index === 0 })}\n`)
    }
    expect(await outcome).toBe(true)
  })

  it('keeps no tables for a router that does not read', async () => {
    const { socket } = await router()
    socket.pause()
    padding = 'x'.repeat(100_000)
    const before = process.memoryUsage().arrayBuffers
    for (let push = 0; push < 500; push += 1) link.push()
    // 500 tables would be 50 MB.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(10_000_000)
    padding = ''
    epoch = 9
    let text = ''
    socket.on('data', (more: string) => (text += more)).resume()
    await eventually('the newest table', () => {
      link.push()
      return text.includes('"epoch":9')
    })
  })

  it('takes the counters, and goes on after junk', async () => {
    const { socket } = await router()
    socket.write('junk\n{"kind":"totals","totals":[{"port":5433,"queries":3}]}\n')
    await eventually('the totals', () => link.totals.length === 1)
    expect(link.totals[0]).toMatchObject({ port: 5433, queries: 3 })
  })

  it('is not cut off from routers to come by an agent that was started twice and ends before it listens', async () => {
    const deps = {
      log: silentLogger(),
      table: () => ({ epoch, replicas: [], validForMs: 1, bootId: 'boot' }),
      settings: () => poolOptions(),
      reload: () => Promise.resolve({ refusal: '' }),
      cancelElsewhere: () => Promise.resolve(),
    }
    const twice = new RouterLink({ ...deps, members: () => members, startRouter: () => {} }, socketPath)
    twice.detach()
    await router()
    expect(link.pid).toBe(77)
  })

  it('is for its own user only', () => {
    expect(statSync(socketPath).mode & 0o077).toBe(0)
  })

  it('ends its router when the node stops', async () => {
    const { socket, lines } = await router()
    socket.on('data', () => {
      if (lines().at(-1)?.includes('stop')) socket.destroy()
    })
    await link.stop()
    expect(lines().at(-1)).toBe('{"kind":"stop"}')
  })
})
