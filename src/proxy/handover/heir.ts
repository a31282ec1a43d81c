import type { HeirProcess } from '../../platform/worker-process.ts'
import { after } from '../../platform/timers.ts'
import { SECOND } from '../../std/units.ts'
import type { CancelKey } from '../../wire/startup.ts'
import { keyOf } from '../backend/cancel-elsewhere.ts'
import type { PortListener } from '../frontend/port-listener.ts'
import { PORT_NAMES } from '../frontend/router-ports.ts'
import type { FromHeir, ToHeir } from './heir-messages.ts'

/** What a router gives to the one that takes its place. */
export type Estate = {
  readonly listeners: readonly PortListener[]
  /** `done` follows when the request has arrived, or when nobody here knows the key. */
  readonly cancel: (key: CancelKey, done: (isKnown: boolean) => void) => void
}

/** As long as a router takes to start on a busy host, and then some. */
const READY_WITHIN_MS = 20 * SECOND

/** Starts a router that takes over the ports of this one; `done`: it listens, or it has ended and everything is as it was. */
export function handOver(
  estate: Estate,
  start: (on: { message: (message: unknown) => void; exit: () => void }) => HeirProcess,
  done: (outcome: 'ready' | 'failed') => void,
): void {
  let isDecided = false
  const decide = (outcome: 'ready' | 'failed'): void => {
    if (isDecided) return
    isDecided = true
    stopTimer()
    if (outcome === 'failed') heir.kill('SIGKILL')
    done(outcome)
  }
  const stopTimer = after(READY_WITHIN_MS, () => decide('failed'))
  const heir = start({
    message: (message) => hear(message as FromHeir),
    exit: () => decide('failed'),
  })
  const say = (message: ToHeir): void => heir.send(message)

  function hear(message: FromHeir): void {
    switch (message.kind) {
      case 'ports-wanted':
        for (const [index, listener] of estate.listeners.entries()) {
          const port = PORT_NAMES[index]
          if (port) heir.send({ kind: 'port', port } satisfies ToHeir, listener.server)
        }
        return say({ kind: 'ports-sent' })
      case 'ready':
        return decide('ready')
      case 'cancel': {
        return estate.cancel(keyOf(message), () => say({ kind: 'cancelled', id: message.id }))
      }
    }
  }
}
