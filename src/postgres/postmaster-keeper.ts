import type { Logger } from '../platform/log.ts'
import type { InstanceEvent } from './instance-outcome.ts'
import { findPostmaster, isAlive, watchAdopted, type Postmaster, type PostmasterExit } from './postmaster.ts'
import { killInstance } from './process-tree.ts'

/** Orphans that a postmaster leaves are killed within this, or reported. */
const ORPHAN_DEADLINE_MS = 5000

/** Holds on to the running postmaster, started by us or by somebody else, and announces its end at once. */
export class PostmasterKeeper {
  readonly #log: Logger
  readonly #dataDir: string
  readonly #onChange: () => void
  readonly #listeners = new Set<(event: InstanceEvent) => void>()
  #held: Postmaster | undefined
  #stopWatch: () => void = () => {}
  #exitExpected = false
  #clearing: Promise<void> = Promise.resolve()

  /** `onChange` runs whenever another postmaster, or none, is held. */
  constructor(deps: { log: Logger }, options: { dataDir: string; onChange: () => void }) {
    this.#log = deps.log
    this.#dataDir = options.dataDir
    this.#onChange = options.onChange
  }

  onEvent(listener: (event: InstanceEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** The running postmaster of the directory, whoever started it; `undefined` when none runs. */
  current(): Postmaster | undefined {
    if (this.#held && isAlive(this.#held)) return this.#held
    const found = findPostmaster(this.#dataDir)
    if (!found) return undefined
    this.#hold(found)
    this.#stopWatch = watchAdopted(found, (exit) => this.#ended(exit))
    return found
  }

  /** Holds one that we started. */
  keep(postmaster: Postmaster, exit: Promise<PostmasterExit>): void {
    this.#hold(postmaster)
    void exit.then((end) => this.#ended(end))
  }

  /** The end that comes next is wanted: it is announced, but nothing is cleared up. */
  expectExit(): void {
    this.#exitExpected = true
  }

  /** Resolves when orphans of an earlier end are cleared up. */
  cleared(): Promise<void> {
    return this.#clearing
  }

  /** Lets go; nothing is announced any more. */
  release(): void {
    this.#stopWatch()
    this.#listeners.clear()
  }

  #hold(postmaster: Postmaster): void {
    this.#stopWatch()
    this.#stopWatch = () => {}
    this.#held = postmaster
    this.#exitExpected = false
    this.#onChange()
  }

  /** Order: the end is announced at once, then the orphans are killed; until then they may acknowledge (safety.md 7). */
  #ended(exit: PostmasterExit): void {
    if (this.#held?.pid !== exit.pid) return
    const expected = this.#exitExpected
    this.#held = undefined
    this.#stopWatch()
    this.#onChange()
    this.#announce({ kind: 'exited', expected, ...exit })
    if (expected) return
    this.#log.warn('PostgreSQL ended unexpectedly', { ...exit })
    this.#clearing = killInstance(this.#dataDir, { deadlineMs: ORPHAN_DEADLINE_MS, log: this.#log })
      .then((outcome) => this.#announce({ kind: 'cleared', outcome }))
      .catch((error: unknown) => this.#log.error('Cannot clear the instance', { error }))
  }

  #announce(event: InstanceEvent): void {
    for (const listener of this.#listeners) listener(event)
  }
}
