import { spawn } from 'node:child_process'
import type { Server, Socket } from 'node:net'
import { nodeExecutable } from './process.ts'

/** A child of this process, with a line to it that carries values and sockets. */
export type WorkerProcess = {
  readonly pid: number | undefined
  /**
   * Never throws: what is sent to a process that has ended is lost. The socket stays open here: whoever destroys it before the child has it
   * ends the connection, and until it is destroyed the child alone cannot end it.
   */
  readonly send: (message: object, socket?: Socket) => void
  readonly kill: (signal: NodeJS.Signals) => void
}

/** The other end of a `WorkerProcess`, in the child. */
export type ParentLine = {
  readonly send: (message: object) => void
  /** `handle`: a connection that is the child's from now on, or a listening socket that is the child's too. */
  readonly listen: (heard: (message: unknown, handle: unknown) => void) => void
  /** The parent has ended, or has cut the line. */
  readonly onCut: (task: () => void) => void
}

/** Starts a child that ends with its line, if it looks after that: `onCut` says so. */
export function startWorkerProcess(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  on: { readonly message: (message: unknown) => void; readonly exit: (code: number | null) => void },
): WorkerProcess {
  const child = spawn(nodeExecutable, [...args], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    cwd: '/',
    env: { ...env },
  })
  let isOver = false
  const ended = (code: number | null): void => {
    if (isOver) return
    isOver = true
    on.exit(code)
  }
  child.on('message', (message) => {
    if (!isOver) on.message(message)
  })
  child.on('exit', ended)
  child.on('error', () => {
    if (child.pid === undefined) ended(null)
  })
  return {
    pid: child.pid,
    send: (message, socket) => {
      // Order: Node would close the socket once the child has it, but leaves it open for ever where the child ends before that.
      if (child.connected) child.send(message, socket, { keepOpen: true }, () => {})
    },
    kill: (signal) => void child.kill(signal),
  }
}

/** A child that outlives this process and takes its place. */
export type HeirProcess = {
  readonly pid: number | undefined
  /** `server`: a listening socket, which both have from then on. Never throws. */
  readonly send: (message: object, server?: Server) => void
  readonly kill: (signal: NodeJS.Signals) => void
}

/** Starts `command` in a session of its own, with a line to it. */
export function startHeirProcess(
  command: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  on: { readonly message: (message: unknown) => void; readonly exit: () => void },
): HeirProcess {
  const [program = nodeExecutable, ...args] = command
  const child = spawn(program, args, {
    detached: true,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    cwd: '/',
    env: { ...env },
  })
  child.on('message', (message) => on.message(message))
  child.once('exit', () => on.exit())
  child.once('error', () => on.exit())
  return {
    pid: child.pid,
    send: (message, server) => {
      if (child.connected) child.send(message, server, {}, () => {})
    },
    kill: (signal) => void child.kill(signal),
  }
}

/** The line to the process that started this one; `undefined` where it was not started as a worker. */
export function parentLine(): ParentLine | undefined {
  if (process.send === undefined) return undefined
  return {
    send: (message) => {
      if (process.connected) process.send?.(message, undefined, {}, () => {})
    },
    listen: (heard) => void process.on('message', (message, handle) => heard(message, handle)),
    onCut: (task) => void process.on('disconnect', task),
  }
}
