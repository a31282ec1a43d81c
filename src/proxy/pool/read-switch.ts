import type { Socket } from '../../platform/net.ts'

/** Turns the reading of a paused socket on and off. It knows how it stands, since asking the socket costs at every message. */
export class ReadSwitch {
  readonly #socket: Socket
  #isOn = false

  constructor(socket: Socket) {
    this.#socket = socket
  }

  on(): void {
    if (this.#isOn) return
    this.#isOn = true
    this.#socket.resume()
  }

  off(): void {
    this.#isOn = false
    this.#socket.pause()
  }
}
