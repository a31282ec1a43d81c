import { environment, onUncaught, setExitCode, stderr, stdout } from '../../platform/process.ts'
import { Fault, messageOf } from '../../std/fault.ts'
import { SECOND } from '../../std/units.ts'
import { lastLogLines } from './agent-process.ts'
import type { DemoNode } from './demo-layout.ts'
import type { Face } from './face.ts'
import { LiveFace } from './live-face.ts'
import { memberState } from './member-words.ts'
import { PlainFace } from './plain-face.ts'
import { prepareDemo, type DemoOptions, type PreparedDemo } from './prepare-demo.ts'
import { stopNodes } from './stop-nodes.ts'
import { listenForStop, type StopRequest } from './stop-request.ts'
import { Supervisor, type DemoPicture } from './supervisor.ts'

/** While the cluster starts: often, so that `ready` comes in time. */
const LOOK_WHILE_STARTING_MS = 200
const LOG_LINES = 8

/** Runs the demo until it is asked to stop; then leaves no process behind. */
export async function runDemo(options: DemoOptions): Promise<void> {
  let redraw = () => {}
  const stop = listenForStop(() => redraw())
  try {
    const prepared = await prepareDemo(options, stop.hurry)
    if (stop.asked.aborted) return
    const supervisor = new Supervisor(prepared.plan)
    const face = hasScreen() ? new LiveFace(prepared.plan) : new PlainFace(prepared.plan)
    redraw = () => face.stopping()
    try {
      await superviseUntilAsked({ supervisor, prepared, face, stop })
    } finally {
      await endAll({ supervisor, prepared, face, stop })
    }
  } finally {
    stop.release()
  }
}

type Running = {
  readonly supervisor: Supervisor
  readonly prepared: PreparedDemo
  readonly face: Face
  readonly stop: StopRequest
}

async function superviseUntilAsked({ supervisor, prepared, face, stop }: Running): Promise<void> {
  const { plan, running } = prepared
  onUncaught((error) => {
    face.close()
    stderr.write(`${messageOf(error)}\n`)
    setExitCode(1)
    stop.ask()
  })
  face.open()
  supervisor.start(running)
  let everHealthy = false
  const signal = AbortSignal.any([stop.asked, supervisor.refused])
  await supervisor.watch({
    signal,
    everyMs: () => (everHealthy ? face.lookMs : LOOK_WHILE_STARTING_MS),
    show: (picture) => {
      everHealthy ||= picture.healthy
      face.show(picture)
      if (!everHealthy && picture.runningForMs > face.patienceMs) throw notReady(picture)
    },
  })
  if (supervisor.refused.aborted) throw refusedConfig(plan.nodes, String(supervisor.refused.reason))
}

async function endAll({ supervisor, prepared, face, stop }: Running): Promise<void> {
  face.stopping()
  supervisor.letGo()
  try {
    const { tookMs } = await stopNodes(prepared.plan.nodes, stop.hurry)
    supervisor.stopped()
    face.close()
    stderr.write(`stopped in ${(tookMs / SECOND).toFixed(1)} s; the data stays in ${prepared.plan.root}\n`)
  } finally {
    face.close()
  }
}

function refusedConfig(nodes: readonly DemoNode[], name: string): Fault {
  const node = nodes.find((one) => one.name === name)
  const lines = node ? lastLogLines(node, LOG_LINES) : []
  return new Fault(
    'DEMO_AGENT_REFUSED',
    `Cannot start the demo: ${name} refuses its configuration "${node?.configFile}"\n${lines.join('\n')}`,
  )
}

function notReady(picture: DemoPicture): Fault {
  const states = picture.nodes.map((node) => {
    const lines = lastLogLines(node, LOG_LINES).map((line) => `    ${line}`)
    return [`  ${node.name}: ${memberState(node, picture)}`, ...lines].join('\n')
  })
  return new Fault(
    'DEMO_NOT_READY',
    `Cannot get the cluster healthy: not within ${Math.round(picture.runningForMs / SECOND)} s\n${states.join('\n')}`,
  )
}

function hasScreen(): boolean {
  return stdout.isTTY && environment()['TERM'] !== 'dumb'
}
