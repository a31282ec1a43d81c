import { stderr, stdout } from '../../platform/process.ts'
import { MINUTE, SECOND } from '../../std/units.ts'
import type { Face } from './face.ts'
import { memberState } from './member-words.ts'
import type { DemoPicture, DemoPlan } from './supervisor.ts'

/** Nobody looks at a finished start without a terminal: the pids in `demo.json` are what is kept true. */
const LOOK_MS = 1 * SECOND
/** Without a terminal nobody can see that it hangs. Five clones over a slow disk take less. */
const READY_MS = 5 * MINUTE
const PROGRESS_MS = 10 * SECOND

/** Without a terminal: one line each on standard output when the cluster takes writes, progress on standard error. */
export class PlainFace implements Face {
  readonly lookMs = LOOK_MS
  readonly patienceMs = READY_MS
  readonly #plan: DemoPlan
  #saidAddresses = false
  #saidReady = false
  #progressAtMs = PROGRESS_MS

  constructor(plan: DemoPlan) {
    this.#plan = plan
  }

  open(): void {}
  stopping(): void {}
  close(): void {}

  show(picture: DemoPicture): void {
    if (picture.takesWrites && !this.#saidAddresses) {
      this.#saidAddresses = true
      const { primary, replica, pooled } = this.#plan.connections
      const api = this.#plan.nodes[0]?.api
      stdout.write(
        `primary ${primary}\nreplica ${replica}\npooled ${pooled}\napi ${api}\ndashboard ${api}dashboard/\n`,
      )
    }
    if (this.#saidReady) return
    if (picture.healthy) {
      this.#saidReady = true
      stdout.write(`ready in ${(picture.runningForMs / SECOND).toFixed(1)} s\n`)
      return
    }
    if (picture.runningForMs < this.#progressAtMs) return
    this.#progressAtMs += PROGRESS_MS
    const states = picture.nodes.map((node) => `${node.name} ${memberState(node, picture)}`)
    stderr.write(`after ${Math.round(picture.runningForMs / SECOND)} s: ${states.join(', ')}\n`)
  }
}
