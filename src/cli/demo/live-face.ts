import { environment, stdout } from '../../platform/process.ts'
import { createPaint } from './ansi.ts'
import { drawPicture, type Frame } from './draw-picture.ts'
import type { Face } from './face.ts'
import { Screen } from './screen.ts'
import type { DemoPicture, DemoPlan } from './supervisor.ts'

/** As often as a person can follow. */
const LOOK_MS = 500

/** On a terminal: a live view from the first moment on, which shows the start's progress as well. */
export class LiveFace implements Face {
  readonly lookMs = LOOK_MS
  /** Whoever looks can see what it waits for, and has Ctrl-C. */
  readonly patienceMs = Number.POSITIVE_INFINITY
  readonly #screen = new Screen(stdout)
  #frame: Frame
  #picture: DemoPicture | undefined

  constructor(plan: DemoPlan) {
    this.#frame = {
      paint: createPaint((environment()['NO_COLOR'] ?? '') === ''),
      connections: plan.connections,
      api: plan.nodes[0]?.api ?? '',
      folder: plan.root,
      notice: '',
    }
  }

  open(): void {
    this.#screen.open()
  }

  show(picture: DemoPicture): void {
    this.#picture = picture
    this.#screen.draw((size) => drawPicture(picture, this.#frame, size))
  }

  stopping(): void {
    const notice = this.#frame.paint.bold('Stopping the cluster … (Ctrl-C again: at once)')
    this.#frame = { ...this.#frame, notice }
    if (this.#picture) this.show(this.#picture)
  }

  close(): void {
    this.#screen.close()
  }
}
