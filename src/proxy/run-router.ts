import { bootMs, monotonicMs } from '../platform/clock.ts'
import { createLogger, type Logger } from '../platform/log.ts'
import { environment, exit, onSignal, onUncaught, ownArguments } from '../platform/process.ts'
import { parentLine, startHeirProcess, startWorkerProcess } from '../platform/worker-process.ts'
import { messageOf } from '../std/fault.ts'
import { handOver, type Estate } from './handover/heir.ts'
import { Inheritance } from './handover/inheritance.ts'
import { startRouter, type RouterDeps, type RouterOptions, type RunningRouter } from './router-process.ts'
import type { RestartOrder } from './router/agent-link.ts'
import { startSupervisor } from './workers/supervisor.ts'
import { startWorker } from './workers/worker.ts'

/** Set in the environment of a router's worker, and of a router that takes the place of another. */
const PART = 'PG_METAKO_ROUTER_PART'

type Part = 'worker' | 'heir' | undefined

/**
 * The router as a process of its own: ends with code 0 on SIGTERM, when its agent says stop, or when another has taken its place and
 * its last client has left; with code 1 when it cannot listen. It outlives its agent. With several workers it is what starts them and
 * hands clients to them; each worker is the same program again. `variable`: of the environment, where the options stand.
 */
export async function runRouter(options: RouterOptions, variable: string): Promise<void> {
  const part = environment()[PART] as Part
  const log = createLogger({ level: options.logging.level, destination: options.logging.file }).with({
    process: part === 'worker' ? 'router worker' : 'router',
    node: options.nodeName,
  })
  onUncaught((error) => {
    log.error('Unexpected error: the router ends, its agent starts another', { error })
    exit(1)
  })
  // A closed terminal is the agent's business; the router belongs to the node.
  onSignal('SIGHUP', () => {})
  let router: RunningRouter & Partial<Estate>
  let hasHeir = false
  try {
    router = await start(options, part, {
      log,
      clock: { monotonicMs, bootMs },
      onStop: () => end('STOP_REQUESTED'),
      onRestart: (order, failed) => replace(order, failed),
      onRetired: () => exit(0),
    })
  } catch (error) {
    log.error(messageOf(error), { error })
    exit(1)
  }
  function end(reason: 'SIGNAL' | 'STOP_REQUESTED'): void {
    log.info('Router stops', { reason })
    void router.stop().then(() => exit(0))
  }
  function replace({ command, options: next, withinMs }: RestartOrder, failed: () => void): void {
    const { listeners, cancel } = router
    if (hasHeir || part === 'worker' || !listeners || !cancel) return failed()
    hasHeir = true
    const heir: Part = 'heir'
    const env = { ...environment(), [PART]: heir, [variable]: JSON.stringify(next) }
    log.info('Another router is started: it gets the ports')
    handOver(
      { listeners, cancel },
      (on) => startHeirProcess(command, env, on),
      (outcome) => {
        if (outcome === 'failed') {
          hasHeir = false
          log.error('The next router cannot begin: this one goes on')
          return failed()
        }
        log.info('The next router has the ports: this one ends behind its clients', { withinMs })
        void router.retire(withinMs).then(() => exit(0))
      },
    )
  }
  onSignal('SIGTERM', () => end('SIGNAL'))
  onSignal('SIGINT', () => end('SIGNAL'))
}

async function start(
  options: RouterOptions,
  part: Part,
  deps: RouterDeps & { readonly log: Logger },
): Promise<RunningRouter & Partial<Estate>> {
  const hasWorkers = (options.workers ?? 1) > 1
  const line = part === undefined ? undefined : parentLine()
  if (part === 'worker' && line) return startWorker(options, deps, line)
  const inheritance = line && new Inheritance(line, hasWorkers)
  if (!hasWorkers) return startRouter(options, { ...deps, inheritance })
  const worker: Part = 'worker'
  const env = { ...environment(), [PART]: worker }
  return startSupervisor(options, {
    ...deps,
    inheritance,
    onLost: () => exit(1),
    startWorker: (on) => startWorkerProcess(ownArguments(), env, on),
  })
}
