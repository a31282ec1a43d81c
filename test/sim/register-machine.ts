/** The smallest state machine worth checking: one register. A body that comes twice is applied once. */
export class RegisterMachine {
  /** Index of the entry that wrote the register last; 0 when it never was written. */
  version = 0
  #seen = new Set<string>()

  apply(index: number, body: string): void {
    if (this.#seen.has(body)) return
    this.#seen.add(body)
    this.version = index
  }

  image(): string {
    return JSON.stringify({ version: this.version, seen: [...this.#seen] })
  }

  restore(image: string): void {
    const { version, seen } = image === '' ? { version: 0, seen: [] } : JSON.parse(image)
    this.version = version
    this.#seen = new Set(seen)
  }
}
