import { bootMs, monotonicMs } from '../platform/clock.ts'
import { createLogger, type Logger } from '../platform/log.ts'
import { environment, exit, onSignal, onUncaught, ownArguments } from '../platform/process.ts'
import { parentLine, startWorkerProcess } from '../platform/worker-process.ts'
import { messageOf } from '../std/fault.ts'
import { startRouter, type RouterDeps, type RouterOptions } from './router-process.ts'
import { startSupervisor } from './workers/supervisor.ts'
import { startWorker } from './workers/worker.ts'

/** Set in the environment of a router's worker. */
const WORKER = 'PG_METAKO_ROUTER_WORKER'

/**
 * The router as a process of its own: ends with code 0 on SIGTERM or when its agent says stop, with code 1 when it
 * cannot listen. It outlives its agent, so nothing else ends it. With several workers it is what starts them and hands clients to
 * them; each worker is the same program again.
 */
export async function runRouter(options: RouterOptions): Promise<void> {
  const isWorker = environment()[WORKER] !== undefined
  const log = createLogger({ level: options.logging.level, destination: options.logging.file }).with({
    process: isWorker ? 'router worker' : 'router',
    node: options.nodeName,
  })
  onUncaught((error) => {
    log.error('Unexpected error: the router ends, its agent starts another', { error })
    exit(1)
  })
  // A closed terminal is the agent's business; the router belongs to the node.
  onSignal('SIGHUP', () => {})
  let router: { readonly stop: () => Promise<void> }
  try {
    router = await start(options, isWorker, {
      log,
      clock: { monotonicMs, bootMs },
      onStop: () => end('STOP_REQUESTED'),
    })
  } catch (error) {
    log.error(messageOf(error), { error })
    exit(1)
  }
  function end(reason: 'SIGNAL' | 'STOP_REQUESTED'): void {
    log.info('Router stops', { reason })
    void router.stop().then(() => exit(0))
  }
  onSignal('SIGTERM', () => end('SIGNAL'))
  onSignal('SIGINT', () => end('SIGNAL'))
}

async function start(
  options: RouterOptions,
  isWorker: boolean,
  deps: RouterDeps & { readonly log: Logger },
): Promise<{ readonly stop: () => Promise<void> }> {
  const line = isWorker ? parentLine() : undefined
  if (line) return startWorker(options, deps, line)
  if ((options.workers ?? 1) <= 1) return startRouter(options, deps)
  const env = { ...environment(), [WORKER]: '1' }
  return startSupervisor(options, {
    ...deps,
    onLost: () => exit(1),
    startWorker: (on) => startWorkerProcess(ownArguments(), env, on),
  })
}
