import type { CancelOrder } from '../../model/cancel-order.ts'
import type { ParentLine } from '../../platform/worker-process.ts'
import { inheritListener, type InheritedListener } from '../frontend/port-listener.ts'
import type { InheritedPorts } from '../frontend/router-ports.ts'
import type { PortName } from '../port-counters.ts'
import type { FromHeir, ToHeir } from './heir-messages.ts'

/** Cancel requests that a predecessor may be asked for at once: anybody can send one. */
const CANCELS_MAX = 256

/** What a router has from the one whose place it takes, for as long as that one still has clients. */
export class Inheritance {
  readonly #line: ParentLine
  readonly #isForOthers: boolean
  readonly #ports = new Map<PortName, InheritedListener>()
  readonly #cancels = new Map<number, () => void>()
  #sent: (ports: InheritedPorts) => void = () => {}
  #lastId = 0
  #isOver = false

  /** `isForOthers`: as for `listenOn`. */
  constructor(line: ParentLine, isForOthers: boolean) {
    this.#line = line
    this.#isForOthers = isForOthers
    line.listen((message, handle) => this.#hear(message as ToHeir, handle))
    line.onCut(() => {
      this.#isOver = true
      for (const done of this.#cancels.values()) done()
      this.#cancels.clear()
      // Those that it has sent may still be opened; without it the others are.
      this.#sent(this.#ports)
    })
  }

  /** The listening sockets. From now on connections come to both, and none is refused in between. */
  ports(): Promise<InheritedPorts> {
    return new Promise((resolve) => {
      this.#sent = resolve
      if (this.#isOver) resolve(this.#ports)
      else this.#say({ kind: 'ports-wanted' })
    })
  }

  ready(): void {
    this.#say({ kind: 'ready' })
  }

  /** Has the predecessor cancel what the key belongs to; `done` follows when that has arrived, or when there is nothing. */
  cancel(order: CancelOrder, done: () => void): void {
    if (this.#isOver || this.#cancels.size >= CANCELS_MAX) return done()
    this.#lastId += 1
    const id = this.#lastId
    this.#cancels.set(id, done)
    this.#say({ kind: 'cancel', id, ...order })
  }

  #hear(message: ToHeir, handle: unknown): void {
    switch (message.kind) {
      case 'port':
        // Order: at once, since connections come from the moment that the socket is here.
        this.#ports.set(message.port, inheritListener(handle, { isForOthers: this.#isForOthers }))
        return
      case 'ports-sent':
        return this.#sent(this.#ports)
      case 'cancelled':
        this.#cancels.get(message.id)?.()
        this.#cancels.delete(message.id)
    }
  }

  #say(message: FromHeir): void {
    this.#line.send(message)
  }
}
