import { RandomStream } from '../random-stream.ts'
import { VirtualTime } from '../virtual-time.ts'
import { connectClient, type ClientSession, type InsertOutcome, type ReadOutcome } from './client-session.ts'
import { createModelInstance, type ModelInstance } from './model-instance.ts'
import type { HostOptions, PostgresHost } from './host.ts'
import type { Acknowledgement, SynchronousCommit } from './ports.ts'
import { PostgresWorld } from './world.ts'

/** Lets promises go on; they need no time. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** A few hosts driven by hand: for tests of the model and for its side of the conformance scripts. */
export class Stage {
  readonly time = new VirtualTime()
  readonly world: PostgresWorld
  readonly acknowledgements: Acknowledgement[] = []
  readonly #seed: number
  readonly #instances = new Map<string, ModelInstance>()
  readonly #slotUsers = new Map<string, boolean>()
  readonly #cut = new Set<string>()
  readonly #delayMs: number
  #ports = 6000

  constructor(options: { seed?: number; delayMs?: number } = {}) {
    this.#seed = options.seed ?? 1
    this.#delayMs = options.delayMs ?? 0.2
    const network = new RandomStream(this.#seed, 'network')
    this.world = new PostgresWorld({
      clock: this.time,
      chance: new RandomStream(this.#seed, 'world'),
      network: {
        delayMs: (from, to) =>
          this.#cut.has(`${from}>${to}`) ? undefined : this.#delayMs * (0.5 + network.next()),
      },
    })
    this.world.onAcknowledgement((acknowledgement) => this.acknowledgements.push(acknowledgement))
  }

  addHost(
    name: string,
    options: Partial<HostOptions> & { useSlots?: boolean } = {},
  ): { host: PostgresHost; instance: ModelInstance } {
    this.#ports += 1
    const host = this.world.addHost({
      name,
      address: { host: name, port: this.#ports },
      chance: new RandomStream(this.#seed, name),
      ...options,
    })
    this.#slotUsers.set(name, options.useSlots ?? false)
    return { host, instance: this.#startAgent(host) }
  }

  #startAgent(host: PostgresHost): ModelInstance {
    const { name } = host
    this.#instances.get(name)?.close()
    const instance = createModelInstance(host, {
      memberName: name,
      walName: name,
      useSlots: this.#slotUsers.get(name) ?? false,
      chance: new RandomStream(this.#seed, `${name} agent`),
    })
    this.#instances.set(name, instance)
    return instance
  }

  /** All agents end; what PostgreSQL does alone remains. */
  dismissAgents(): void {
    for (const instance of this.#instances.values()) instance.close()
  }

  /** The agent ends with its host, and another one begins. */
  async powerCycle(name: string): Promise<void> {
    this.host(name).losePower()
    await this.pass(10)
    await this.powerUp(name)
  }

  async powerUp(name: string): Promise<void> {
    this.host(name).powerOn()
    this.#startAgent(this.host(name))
    await settle()
  }

  host(name: string): PostgresHost {
    const host = this.world.hostNamed(name)
    if (host === undefined) throw new Error(`No host "${name}"`)
    return host
  }

  instance(name: string): ModelInstance {
    const instance = this.#instances.get(name)
    if (instance === undefined) throw new Error(`No host "${name}"`)
    return instance
  }

  cut(from: string, to: string): void {
    this.#cut.add(`${from}>${to}`)
    this.world.pathsChanged()
  }

  cutBoth(one: string, other: string): void {
    this.#cut.add(`${one}>${other}`)
    this.cut(other, one)
  }

  heal(): void {
    this.#cut.clear()
    this.world.pathsChanged()
  }

  /** Runs until the promise is settled. */
  async finish<T>(promise: Promise<T>, withinMs = 120_000): Promise<T> {
    let isOver = false
    const mark = (): void => {
      isOver = true
    }
    promise.then(mark, mark)
    await settle()
    const end = this.time.now + withinMs
    while (!isOver && this.time.step(end)) await settle()
    if (!isOver) throw new Error(`Not over after ${withinMs} ms`)
    return promise
  }

  async pass(ms: number): Promise<void> {
    await this.finish(new Promise<void>((resolve) => this.time.after(ms, resolve)), ms + 1)
  }

  /** Runs until the condition holds. */
  async until(what: string, condition: () => boolean, withinMs = 30_000): Promise<void> {
    const end = this.time.now + withinMs
    for (;;) {
      await settle()
      if (condition()) return
      if (!this.time.step(end)) {
        if (condition()) return
        throw new Error(`Not within ${withinMs} ms: ${what}`)
      }
    }
  }

  connect(to: string, level: SynchronousCommit = 'on'): Promise<ClientSession> {
    const { address } = this.host(to)
    return this.finish(
      new Promise((resolve, reject) => {
        connectClient(
          this.world,
          { from: 'client', to: address, level },
          { opened: resolve, refused: (why) => reject(new Error(why)) },
        )
      }),
    )
  }

  insert(session: ClientSession, token: number): Promise<InsertOutcome> {
    return this.finish(new Promise((resolve) => session.insert(token, resolve)))
  }

  async tokens(on: string): Promise<readonly number[]> {
    const session = await this.connect(on)
    const rows = await this.finish(new Promise<ReadOutcome>((resolve) => session.read(resolve)))
    session.close()
    if (rows.kind !== 'rows') throw new Error(`No rows from "${on}": ${rows.kind}`)
    return rows.tokens.slice(0, rows.count)
  }

  /** A primary and standbys that stream from it. */
  async cluster(names: readonly string[]): Promise<void> {
    const [primary, ...standbys] = names as [string, ...string[]]
    await this.finish(this.instance(primary).initialise(() => Promise.resolve()))
    await this.finish(this.instance(primary).start('primary'))
    await this.finish(this.instance(primary).ensureSlots(standbys))
    for (const name of standbys) await this.join(name, primary)
  }

  async join(name: string, primary: string): Promise<void> {
    const { address } = this.host(primary)
    const { systemId } = this.host(primary).disk.directory ?? { systemId: '' }
    await this.finish(this.instance(name).clone({ ...address, systemId }, () => undefined))
    await this.finish(this.instance(name).start('standby', address))
    await this.streaming(name)
  }

  async streaming(name: string): Promise<void> {
    await this.until(`${name} streams`, () => this.host(name).server?.receiver?.state === 'streaming')
  }

  async caughtUp(name: string, primary: string): Promise<void> {
    await this.until(`${name} has what ${primary} has`, () => {
      const end = this.host(primary).server?.writer?.flushedLsn
      return end !== undefined && this.host(name).server?.replayLsn === end
    })
  }
}
