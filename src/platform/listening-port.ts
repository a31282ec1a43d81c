import { readFileSync, readlinkSync, readdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { Fault } from '../std/fault.ts'

/** Who listens on a port. `pid` is absent when the process belongs to a user whose sockets we may not see. */
export type Listener = { readonly pid?: number; readonly command?: string }

/** State of a listening socket in /proc/net/tcp. */
const LISTEN = '0A'

/**
 * Whether we could listen on `host:port` now. Learnt by doing it: the table of the kernel does not know about addresses
 * that we may not use. Throws `PORT_UNUSABLE` when the reason is not another process.
 */
export function isPortFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') return resolve(false)
      reject(
        new Fault('PORT_UNUSABLE', `Cannot listen on ${host}:${port}: ${error.message}`, { cause: error }),
      )
    })
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)))
  })
}

/** The process that listens on a TCP port of this host, as far as /proc tells; `undefined` when nobody does. */
export function listenerOn(port: number): Listener | undefined {
  const inodes = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) =>
    listeningInodes(readTable(table), port),
  )
  if (inodes.length === 0) return undefined
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name) || !holdsSocket(name, inodes)) continue
    const command = commandOf(name)
    return { pid: Number(name), ...(command === undefined ? {} : { command }) }
  }
  return {}
}

/** Inodes of the sockets that listen on `port`, from the text of /proc/net/tcp. */
export function listeningInodes(table: string, port: number): readonly string[] {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0')
  const inodes: string[] = []
  for (const line of table.split('\n').slice(1)) {
    const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/)
    if (state === LISTEN && local.endsWith(`:${wanted}`) && inode !== undefined) inodes.push(inode)
  }
  return inodes
}

function readTable(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}

function holdsSocket(process: string, inodes: readonly string[]): boolean {
  const folder = `/proc/${process}/fd`
  try {
    return readdirSync(folder).some((descriptor) => {
      const target = targetOf(`${folder}/${descriptor}`)
      return inodes.some((inode) => target === `socket:[${inode}]`)
    })
  } catch {
    return false
  }
}

/** A descriptor may be closed since it was listed; that says nothing about the others. */
function targetOf(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}

/** The program's name: that of its first thread ("comm") is whatever the program calls it. */
function commandOf(process: string): string | undefined {
  try {
    const [program = ''] = readFileSync(`/proc/${process}/cmdline`, 'utf8').split(/[\0 :]/, 1)
    return program.split('/').at(-1) || readFileSync(`/proc/${process}/comm`, 'utf8').trim()
  } catch {
    return undefined
  }
}
