import type { Compare, Operation } from '../../src/model/key-value.ts'
import { Fault } from '../../src/std/fault.ts'
import type { Store } from '../../src/store/store.ts'
import { pause } from '../../src/platform/timers.ts'
import { eventually } from './eventually.ts'
import type { HistoryOperation } from './linearizability.ts'
import type { RegisterAnswer, RegisterCall } from './register-model.ts'
import { seededRandom } from './seeded-random.ts'

/** What a client of a history needs of a store. */
export type RegisterPort = Pick<Store, 'read' | 'transact'>

const KEYS = 8
const DEADLINE_MS = 1000
/** Bounds the length of a history, and leaves the members time for other things. */
const PACE_MS = 4
const AFTER_FAILURE_MS = 20

/**
 * Clients that read, write, compare-and-swap and delete registers at random, one operation at a time each, and write down what
 * they asked for and what they were told. Values are unique; revisions come from the store.
 */
export class RegisterClients {
  readonly #history: HistoryOperation[] = []
  /** What each client waits for now. */
  readonly #open = new Map<string, HistoryOperation>()
  readonly #ports: ReadonlyMap<string, RegisterPort>
  readonly #random: () => number
  /** Acknowledged operations of each client. */
  readonly #done = new Map<string, number>()
  /** The last revision that anybody saw of a key: what a compare-and-swap has a chance with. */
  readonly #revisions = new Map<string, number>()
  #isOver = false
  #running: Promise<unknown> = Promise.resolve()
  #values = 0

  /** One client for each port, by name. */
  constructor(ports: ReadonlyMap<string, RegisterPort>, options: { readonly seed: number }) {
    this.#ports = ports
    this.#random = seededRandom(options.seed)
  }

  start(): void {
    this.#running = Promise.all([...this.#ports].map(([client, port]) => this.#run(client, port)))
  }

  async stop(): Promise<readonly HistoryOperation[]> {
    this.#isOver = true
    await this.#running
    return this.#history
  }

  /** The history up to now: what has no answer yet may already have happened. */
  soFar(): readonly HistoryOperation[] {
    return [...this.#history, ...this.#open.values()]
  }

  /** Waits until each of these clients (all of them by default) got `count` more answers. */
  async progress(count: number, clients: readonly string[] = [...this.#ports.keys()]): Promise<void> {
    const before = new Map(this.#done)
    const missing = () =>
      clients.filter((client) => (this.#done.get(client) ?? 0) - (before.get(client) ?? 0) < count)
    await eventually(
      () => `${count} more answers for ${missing().join(', ')}`,
      () => missing().length === 0,
    )
  }

  async #run(client: string, port: RegisterPort): Promise<void> {
    while (!this.#isOver) {
      const key = `register-${this.#below(KEYS)}`
      const call = this.#nextCall(key)
      const invokedAt = performance.now()
      this.#open.set(client, { client, key, invokedAt, call })
      const told = await ask(port, key, call)
      this.#open.delete(client)
      const endedAt = performance.now()
      if (told.kind === 'answered') {
        this.#history.push({ client, key, invokedAt, call, outcome: { endedAt, answer: told.answer } })
        this.#done.set(client, (this.#done.get(client) ?? 0) + 1)
        if (told.answer.kind !== 'refused') this.#revisions.set(key, told.answer.revision)
      } else if (told.kind === 'unknown') {
        this.#history.push({ client, key, invokedAt, call })
      }
      await pause(told.kind === 'answered' ? this.#random() * 2 * PACE_MS : AFTER_FAILURE_MS)
    }
  }

  #nextCall(key: string): RegisterCall {
    const choice = this.#below(100)
    if (choice < 45) return { kind: 'read' }
    if (choice < 50) return { kind: 'delete' }
    this.#values += 1
    const value = `v${this.#values}`
    if (choice < 75) return { kind: 'write', value }
    return { kind: 'swap', expected: this.#revisions.get(key) ?? 0, value }
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }
}

type Told =
  | { readonly kind: 'answered'; readonly answer: RegisterAnswer }
  /** Certainly without effect. */
  | { readonly kind: 'refused' }
  | { readonly kind: 'unknown' }

async function ask(port: RegisterPort, key: string, call: RegisterCall): Promise<Told> {
  const options = { deadlineMs: DEADLINE_MS }
  try {
    if (call.kind === 'read') {
      const { entries } = await port.read(key, options)
      const entry = entries.find((one) => one.key === key)
      const seen = entry === undefined ? { revision: 0 } : { value: entry.value, revision: entry.modRevision }
      return { kind: 'answered', answer: { kind: 'seen', ...seen } }
    }
    const compares: readonly Compare[] =
      call.kind === 'swap' ? [{ kind: 'mod', key, revision: call.expected }] : []
    const operation: Operation =
      call.kind === 'delete' ? { kind: 'delete', key } : { kind: 'put', key, value: call.value }
    const { succeeded, revision } = await port.transact({ compares, operations: [operation] }, options)
    return { kind: 'answered', answer: succeeded ? { kind: 'done', revision } : { kind: 'refused' } }
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    return { kind: call.kind === 'read' || error.details['applied'] === false ? 'refused' : 'unknown' }
  }
}
