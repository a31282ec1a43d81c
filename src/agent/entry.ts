import { messageOf } from '../std/fault.ts'
import type { GuardOptions } from '../guard/guard-orders.ts'
import { environment, exit, onSignal, onUncaught, raiseOwnPriority, stderr } from '../platform/process.ts'
import { afterUnheld } from '../platform/timers.ts'
import { variableOf } from './detached-process.ts'

/*
 * The three processes of a node, as `main.ts` starts them. Each loads only what it needs: a guard is up in the time
 * that Node takes to start.
 */

/** A node that hangs in its own shutdown is ended by force after this. */
const STOP_DEADLINE_MS = 12_000

/** Runs the agent in the foreground until it is told to stop; the result is the process's exit code. */
export async function runAgent(options: { configPath: string }): Promise<number> {
  raiseOwnPriority()
  const { prepareNode } = await import('./prepare-node.ts')
  const prepared = await prepareNode(options.configPath)
  if (prepared.kind === 'refused') {
    stderr.write(`${prepared.message}\n`)
    return prepared.exitCode
  }
  const { node, log } = prepared
  return new Promise<number>((resolve) => {
    let isLeaving = false
    const leave = (how: 'stop' | 'detach', code: number) => {
      // A second signal must not end the process in the middle of the first one's shutdown.
      if (isLeaving) return
      isLeaving = true
      const timer = afterUnheld(STOP_DEADLINE_MS, () => exit(1))
      const done = how === 'stop' ? node.stop() : node.detach()
      void done.then(
        () => {
          timer()
          resolve(code)
        },
        (error: unknown) => {
          log.error('Cannot stop cleanly', { error })
          resolve(1)
        },
      )
    }
    onSignal('SIGTERM', () => leave('stop', 0))
    onSignal('SIGINT', () => leave('stop', 0))
    onSignal('SIGUSR2', () => leave('detach', 0))
    onSignal('SIGHUP', () => void prepared.reload())
    node.onFatal(() => leave('detach', 1))
    onUncaught((error) => {
      // A bug: nothing can be trusted here any more. PostgreSQL and the guard outlive this process; the supervisor
      // starts the next agent, which adopts them.
      log.error('Uncaught error: this agent ends', { error })
      exit(70)
    })
    node.start().catch((error: unknown) => {
      stderr.write(`pg-metako: ${messageOf(error)}\n`)
      log.error('Cannot start', { error })
      leave('detach', 1)
    })
  })
}

/** Runs the guard until it is told to stop. */
export async function runGuardProcess(): Promise<number> {
  raiseOwnPriority()
  const { runGuard } = await import('../guard/guard-process.ts')
  // Whatever fails here, a full disk under its log for one: a guard that ends takes the switch away.
  onUncaught((error) => void stderr.write(`pg-metako guard: ${messageOf(error)}\n`))
  const guard = await runGuard(optionsOf<GuardOptions>('guard'))
  await guard.stopped
  return 0
}

/** Starts the router; it ends its process by itself. */
export async function runRouterProcess(): Promise<number> {
  const { runRouter } = await import('../proxy/run-router.ts')
  await runRouter(optionsOf<Parameters<typeof runRouter>[0]>('router'), variableOf('router'))
  return new Promise<number>(() => undefined)
}

function optionsOf<Options>(command: 'guard' | 'router'): Options {
  const text = environment()[variableOf(command)]
  if (text === undefined) {
    stderr.write(`pg-metako ${command} is started by the agent, not by hand\n`)
    exit(2)
  }
  return JSON.parse(text) as Options
}
