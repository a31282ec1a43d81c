import { closeSync, openSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { Worker } from 'node:worker_threads'
import { afterEach, describe, expect, it } from 'vitest'
import { isRunner } from './launcher.ts'
import { isPortFree, listenerOn, listeningInodes } from './listening-port.ts'
import { argumentsOf, identityOf, isAlive } from './process-table.ts'

const servers: ReturnType<typeof createServer>[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

function listen(host: string): Promise<number> {
  const server = createServer()
  servers.push(server)
  return new Promise((resolve) =>
    server.listen(0, host, () => resolve((server.address() as AddressInfo).port)),
  )
}

describe('listening port', () => {
  const isOver = new Int32Array(new SharedArrayBuffer(4))

  it('is busy for whoever listens on it, on every address as well, and names the process', async () => {
    for (const host of ['127.0.0.1', '0.0.0.0']) {
      const port = await listen(host)
      expect(await isPortFree('127.0.0.1', port)).toBe(false)
      expect(listenerOn(port)).toMatchObject({ pid: process.pid })
    }
  })

  it('names a process that opens and closes other files meanwhile', async () => {
    // Order: what comes and goes has lower numbers than the socket, so that it is looked at before.
    const lower = Array.from({ length: 50 }, () => openSync('/dev/null', 'r'))
    const port = await listen('127.0.0.1')
    for (const file of lower) closeSync(file)
    const busy = new Worker(
      `const { closeSync, openSync } = require('node:fs')
       const { parentPort, workerData } = require('node:worker_threads')
       parentPort.postMessage('begun')
       while (Atomics.load(workerData, 0) === 0) {
         const files = Array.from({ length: 50 }, () => openSync('/dev/null'))
         for (const file of files) closeSync(file)
       }`,
      { eval: true, workerData: isOver },
    )
    await new Promise((resolve) => busy.once('message', resolve))
    const found = Array.from({ length: 10 }, () => listenerOn(port)?.pid)
    Atomics.store(isOver, 0, 1)
    await new Promise((resolve) => busy.once('exit', resolve))
    expect(new Set(found)).toEqual(new Set([process.pid]))
  })

  it('is free again at once', async () => {
    const port = await listen('127.0.0.1')
    await new Promise((resolve) => servers.pop()?.close(resolve))
    expect(await isPortFree('127.0.0.1', port)).toBe(true)
    expect(listenerOn(port)).toBeUndefined()
  })

  it('takes only sockets that listen from the table', () => {
    const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F48 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0
   1: 0100007F:1F48 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0
   2: 0100007F:1F49 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0`
    expect(listeningInodes(table, 8008)).toEqual(['4711'])
  })
})

describe('process table', () => {
  it('knows this process by pid and start, and no other as the same', () => {
    const own = identityOf(process.pid)!
    expect(isAlive(own)).toBe(true)
    expect(isAlive({ ...own, startTicks: own.startTicks - 1 })).toBe(false)
    expect(argumentsOf(process.pid).length).toBeGreaterThan(0)
  })

  it('recognises package runners by the titles that they give themselves', () => {
    for (const argv of [
      ['npm start'],
      ['npm exec pg-metako demo'],
      ['node', '/usr/bin/npm', 'start'],
      ['npx'],
    ]) {
      expect(isRunner(argv)).toBe(true)
    }
    for (const argv of [
      ['bash', '-c', 'npm start'],
      ['node', 'dist/main.js', 'npm'],
      ['/usr/sbin/sshd'],
      [],
    ]) {
      expect(isRunner(argv)).toBe(false)
    }
  })
})
