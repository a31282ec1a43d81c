import { messageOf } from '../std/fault.ts'
import type { GuardOptions, GuardOrder, GuardReport } from '../guard/guard-orders.ts'
import type { Logger } from '../platform/log.ts'
import { connect } from '../platform/net.ts'
import { signalProcess } from '../platform/process.ts'
import { startDetached } from './detached-process.ts'

const BACKLOG_MAX_BYTES = 64 * 1024

export type GuardVisitor = {
  /** Nothing is told before this. */
  readonly opened: (conversation: GuardConversation) => void
  readonly heard: (report: GuardReport) => void
  /** Also when it never opened. */
  readonly closed: () => void
}

export type GuardConversation = {
  tell(order: GuardOrder): void
  close(): void
}

/** Where an agent meets the guard of its node: the Unix socket and the process behind it; another one in the simulator. */
export interface GuardDoor {
  visit(visitor: GuardVisitor): void
  /** Starts a guard process. */
  start(): void
  /** Ends one that hangs. */
  kill(pid: number): void
}

export function guardDoor(log: Logger, options: GuardOptions): GuardDoor {
  return {
    visit: (visitor) => visit(log, options.socketPath, visitor),
    start: () => void startDetached('guard', { options, logFile: options.logFile }),
    kill: (pid) => void signalProcess(pid, 'SIGKILL'),
  }
}

function visit(log: Logger, path: string, visitor: GuardVisitor): void {
  const socket = connect(path)
  let rest = ''
  socket.setEncoding('utf8')
  socket.on('connect', () =>
    visitor.opened({
      tell: (order) => {
        // Every order says all: a guard that does not read needs none of those that wait.
        if (socket.writableLength <= BACKLOG_MAX_BYTES) socket.write(`${JSON.stringify(order)}\n`)
      },
      close: () => void socket.destroy(),
    }),
  )
  socket.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) visitor.heard(JSON.parse(line) as GuardReport)
  })
  socket.on('error', (error) => log.debug('Guard not reached', { error: messageOf(error) }))
  socket.on('close', visitor.closed)
}
