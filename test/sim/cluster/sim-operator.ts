import type { JoinDocument } from '#client'
import { pauseOn } from '../../../src/ha/pause-on.ts'
import type { ControlPlane } from '../../../src/agent/control-plane.ts'
import { joinAnswerContext, joinProofContext, parseJoinToken } from '../../../src/model/join-token.ts'
import { hmacSha256, unseal } from '../../../src/platform/hash.ts'
import { present } from '../../../src/std/assert.ts'
import { messageOf } from '../../../src/std/fault.ts'
import type { RandomStream } from '../random-stream.ts'
import { addressOf, API_PORT } from './node-config.ts'
import { newestRelease, nextRelease } from './release.ts'
import type { SimHost, SimProcess } from './sim-host.ts'
import type { SimNode } from './sim-node.ts'

const ANSWER_MS = 20_000
const SWITCHOVER_MS = 15_000
const AGAIN_MS = 1000
const TOLD_MS = 20_000
const NOTICED_MS = { min: 2000, max: 15_000 }
/** A command that was refused for so long is given up, unless the cluster would not be whole without it. */
const PATIENCE_MS = 60_000

export type SimOperatorDeps = {
  /** Where the commands are typed: reaches every agent. */
  readonly machine: SimHost
  readonly chance: RandomStream
  readonly nodes: () => readonly SimNode[]
  /** A host that was never in the cluster. */
  readonly newNode: (name: string, members: readonly string[]) => SimNode
  readonly note: (text: string) => void
  /** A command did what no command may: it ended with something else than an answer. */
  readonly failed: (why: string) => void
  readonly newIncarnation: () => string
  /** From now on the data of this host is nobody's business any more: it was taken away, by name. */
  readonly tookData: (host: string) => void
  /** Nobody removes a member where commits would then wait for others for ever. */
  readonly membersMin: number
}

/** Whom `remove` means is looked up when its turn comes. */
export type Victim = 'any' | 'primary' | 'leader' | 'dead'

/**
 * Somebody who changes the members with the commands that there are for it, one after the other, and does what the agents print.
 * Knows who the members are by what the commands answered.
 */
export class SimOperator {
  readonly #deps: SimOperatorDeps
  readonly #process: SimProcess
  readonly #members: Set<string>
  #queue: Promise<void> = Promise.resolve()
  /** Beside the others: what waits for a take-over must not keep a pause from ending. */
  #pauses: Promise<void> = Promise.resolve()
  #isPaused = false
  /** Whose removal was given up: it may have happened. */
  readonly #unsure = new Set<string>()
  #pending = 0
  #done = 0
  #why = ''

  constructor(deps: SimOperatorDeps, members: readonly string[]) {
    this.#deps = deps
    this.#process = deps.machine.spawn('operator')
    this.#members = new Set(members)
  }

  get members(): ReadonlySet<string> {
    return this.#members
  }

  /** As `member list` has them: settles what became of a command that got no answer, and says what is not as it was asked for. */
  whyNotAsAsked(listed: readonly string[]): string | undefined {
    for (const name of this.#unsure) {
      this.#unsure.delete(name)
      if (listed.includes(name)) continue
      this.#members.delete(name)
      this.#deps.tookData(name)
    }
    const wanted = [...this.#members].toSorted().join()
    const found = listed.toSorted().join()
    return found === wanted ? undefined : `the members are ${found}, asked for was ${wanted}`
  }

  get isBusy(): boolean {
    return this.#pending > 0
  }

  /** Why the last command was not done yet. */
  get trouble(): string {
    return this.#why
  }

  /** Some command was done: what the cluster consists of may be another than at its founding. */
  get hasChanged(): boolean {
    return this.#done > 0
  }

  /** A host joins: a new one, or one that was removed before. */
  add(name: string): void {
    this.#enqueue(`member add ${name}`, async () => {
      if (this.#members.has(name)) return
      await this.#join(name)
    })
  }

  remove(victim: Victim): void {
    this.#enqueue(`member remove, ${victim}`, async () => {
      const name = this.#members.size <= this.#deps.membersMin ? undefined : this.#named(victim)
      if (name === undefined) return
      if (await this.#remove(name, this.#now + PATIENCE_MS)) return
      this.#unsure.add(name)
      this.#node(name).powerOn()
    })
  }

  /** A member whose host is gone: the same name comes back with nothing. */
  replace(name: string): void {
    this.#enqueue(`member replace ${name}`, async () => {
      if (!this.#members.has(name) || this.#members.size < 2) return
      this.#node(name).losePower()
      if (await this.#remove(name, this.#now + PATIENCE_MS)) {
        this.#node(name).state.wipe()
        this.#wipeData(name)
        this.#node(name).powerOn()
        await this.#join(name)
        return
      }
      this.#unsure.add(name)
      this.#node(name).powerOn()
    })
  }

  /** A member whose consensus log is of no use any more: out, and in again as a new learner. */
  remedy(name: string): void {
    this.#enqueue(`remedy of ${name}`, async () => {
      const node = this.#node(name)
      // Somebody has to read first what the agent says at each start.
      while (!node.host.isUp) await this.#pause()
      await this.#pause(this.#deps.chance.between(NOTICED_MS.min, NOTICED_MS.max))
      // Order: for as long as it takes. Without it this member never comes back.
      if (this.#members.has(name)) await this.#remove(name, Number.POSITIVE_INFINITY)
      node.state.disk.moveLogAside()
      await this.#join(name)
    })
  }

  pauseCluster(): void {
    this.#isPaused = true
    this.#setPause(true, this.#now + PATIENCE_MS)
  }

  /** Order: for as long as it takes. Without it the cluster is not whole. */
  resumeCluster(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#setPause(null, Number.POSITIVE_INFINITY)
  }

  #setPause(pause: true | null, until: number): void {
    this.#pending += 1
    this.#pauses = this.#pauses.then(async () => {
      const isWanted = (): boolean => this.#isPaused === (pause === true)
      while (isWanted() && this.#now < until) {
        const outcome = await this.#ask('', (control) =>
          control.orders.changeConfig({ kind: 'patch', patch: { pause } }),
        )
        if (outcome?.kind === 'done') {
          this.#deps.note(pause ? 'pauses the cluster' : 'resumes')
          break
        }
        this.#why = `${pause ? 'pause' : 'resume'}: ${outcome?.message ?? 'no answer'}`
        await this.#pause()
      }
      this.#pending -= 1
    })
  }

  /** A rolling upgrade: one agent after the other, each when the one before is heard again. */
  upgrade(): void {
    this.#enqueue('rolling upgrade', async () => {
      for (const name of this.#members) {
        const node = this.#node(name)
        node.release = nextRelease(node.release)
        node.restartAgent()
        await this.#pause()
        const until = this.#now + PATIENCE_MS
        while (node.agent?.control.brain === undefined && this.#now < until) await this.#pause()
      }
    })
  }

  #enqueue(what: string, work: () => Promise<void>): void {
    this.#pending += 1
    this.#queue = this.#queue
      .then(async () => {
        this.#deps.note(`begins: ${what}`)
        await work()
        this.#done += 1
        this.#deps.note(`ends: ${what}`)
      })
      .catch((error: unknown) => this.#deps.failed(`${what}: ${messageOf(error)}`))
      .finally(() => {
        this.#pending -= 1
      })
  }

  /** `member remove`, with what its answers ask for; false when it was given up. */
  async #remove(name: string, until: number): Promise<boolean> {
    while (this.#now < until) {
      const outcome = await this.#ask(name, (control) => control.members.remove(name))
      if (outcome?.kind === 'done' || outcome?.reason === 'UNKNOWN') {
        this.#members.delete(name)
        this.#deps.tookData(name)
        return true
      }
      if (outcome?.reason === 'IS_LAST') return false
      this.#why = outcome === undefined ? 'no answer' : `${outcome.reason}: ${outcome.message}`
      if (outcome?.reason === 'IS_PRIMARY') {
        await this.#ask(name, (control) =>
          control.orders.switchover({ requestedBy: 'the operator' }, SWITCHOVER_MS),
        )
      }
      if (outcome?.reason === 'TAKE_OVER') await this.#confirmDown()
      await this.#pause()
    }
    return false
  }

  /** Where the others wait for somebody to say that the lost primary is down: looks at that host, and says so when it is. */
  async #confirmDown(): Promise<void> {
    const holder = this.#named('primary')
    if (holder === undefined || !this.#node(holder).postgres.isGone) return
    const outcome = await this.#ask(holder, (control) => control.orders.confirmDown(holder))
    if (outcome?.kind === 'confirmed') this.#deps.note(`says that ${holder} is down`)
  }

  /** `member add` on a member, `join` on the host, and its agent is started. */
  async #join(name: string): Promise<void> {
    const node =
      this.#deps.nodes().find((one) => one.name === name) ?? this.#deps.newNode(name, [...this.#members])
    await this.#untilTold(node)
    await this.#stop(node)
    // Everybody whom it knows may be gone as well (ADR 0015): then its state folder is moved away like one that was lost.
    if (isMemberStill(node)) node.state.wipe()
    if (node.state.membership === undefined && !node.state.isFounded) this.#wipeData(name)
    const incarnation = this.#deps.newIncarnation()
    const document = await this.#invited(name, incarnation)
    // Its supervisor may have started it meanwhile.
    await this.#stop(node)
    node.state.join(document, incarnation)
    // Nobody installs an older program than the cluster runs.
    node.release = newestRelease(this.#deps.nodes().map(({ release }) => release))
    this.#members.add(name)
    node.start()
  }

  /** `join` refuses a host that does not know yet that it was removed. */
  async #untilTold(node: SimNode): Promise<void> {
    const until = this.#now + TOLD_MS
    while (isMemberStill(node) && (this.#now < until || !node.host.isUp)) {
      this.#why = `${node.name} does not know that it was removed`
      node.start()
      await this.#pause()
    }
  }

  async #stop(node: SimNode): Promise<void> {
    node.stop()
    while (node.agent !== undefined) {
      await this.#pause()
      // Its supervisor may have started another one.
      node.stop()
    }
  }

  async #invited(name: string, incarnation: string): Promise<JoinDocument> {
    for (;;) {
      const invited = await this.#ask(name, (control) =>
        control.members.invite({
          name,
          apiHost: addressOf(name),
          apiPort: API_PORT,
          requestedBy: 'the operator',
        }),
      )
      if (invited?.kind === 'done') {
        const document = await this.#accepted({ name, token: invited.token, incarnation })
        if (document !== undefined) return document
      } else this.#why = invited === undefined ? 'no answer' : `${invited.reason}: ${invited.message}`
      await this.#pause()
    }
  }

  /** As `pg-metako join`: the same words to one member after the other, until one answers. */
  async #accepted(by: {
    name: string
    token: string
    incarnation: string
  }): Promise<JoinDocument | undefined> {
    const { invitation, secret } = present(parseJoinToken(by.token), 'join token')
    const words = { invitation, nonce: `${by.incarnation}`, incarnation: by.incarnation }
    const proof = hmacSha256(secret, joinProofContext(words)).toString('hex')
    for (;;) {
      const answer = await this.#ask(by.name, (control) => control.members.join({ ...words, proof }))
      if (answer?.kind === 'done') {
        const text = unseal(secret, joinAnswerContext(words, answer.nonce), answer.sealed)
        return JSON.parse(present(text, 'sealed answer')) as JoinDocument
      }
      if (answer !== undefined && answer.kind !== 'refused') {
        this.#why = `the invitation is ${answer.kind}`
        return undefined
      }
      this.#why = answer === undefined ? 'no answer' : `${answer.reason}: ${answer.message}`
      await this.#pause()
    }
  }

  #wipeData(name: string): void {
    const node = this.#node(name)
    node.postgres.moveAside()
    this.#deps.tookData(name)
  }

  #named(victim: Victim): string | undefined {
    const { chance } = this.#deps
    const members = [...this.#members]
    const controls = this.#deps.nodes().flatMap(({ agent }) => agent?.control.brain ?? [])
    switch (victim) {
      case 'any':
        return chance.pick(members)
      case 'primary':
        return controls.map(({ keeper }) => keeper.record?.holder).find((name) => name !== undefined)
      case 'leader':
        return controls.map(({ store }) => store.status().leader).find((name) => name !== undefined)
      case 'dead': {
        const name = chance.pick(members)
        this.#node(name).losePower()
        return name
      }
    }
  }

  /** Asks an agent that runs, another one than that of `about` where there is one; `undefined` when it does not answer. */
  async #ask<Answer>(
    about: string,
    ask: (control: ControlPlane) => Promise<Answer>,
  ): Promise<Answer | undefined> {
    const running = this.#deps
      .nodes()
      .filter(({ name, agent }) => this.#members.has(name) && agent?.control.brain !== undefined)
    const others = running.filter(({ name }) => name !== about)
    const choice = others.length > 0 ? others : running
    if (choice.length === 0) return undefined
    const { agent } = this.#deps.chance.pick(choice)
    if (agent === undefined || agent.process.isPaused) return undefined
    let cancel = (): void => undefined
    const late = new Promise<undefined>((resolve) => {
      cancel = this.#process.after(ANSWER_MS, () => resolve(undefined))
    })
    try {
      return await Promise.race([ask(agent.control), late])
    } catch (error) {
      this.#why = messageOf(error)
      return undefined
    } finally {
      cancel()
    }
  }

  #node(name: string): SimNode {
    return present(
      this.#deps.nodes().find((node) => node.name === name),
      `host "${name}"`,
    )
  }

  get #now(): number {
    return this.#deps.machine.time.now
  }

  #pause(ms = AGAIN_MS): Promise<void> {
    return pauseOn(this.#process.clock, ms)
  }
}

function isMemberStill({ state }: SimNode): boolean {
  return state.hasLog && state.membership?.left === undefined
}
