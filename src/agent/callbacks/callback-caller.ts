import type { CallbackAction, Callbacks } from '../../model/callback.ts'
import type { Role } from '../../model/member.ts'
import type { Logger } from '../../platform/log.ts'
import type { OsUser } from '../../platform/os-user.ts'
import { pause } from '../../platform/timers.ts'
import { CallbackLane } from './callback-lane.ts'
import { callAfter, type Glance, type Told } from './callback-rule.ts'

/** Patroni's words for the two. */
const WORDS: Readonly<Record<Role, string>> = { primary: 'primary', standby: 'replica' }

export type CallbackSettings = { readonly commands: Callbacks; readonly timeoutMs: number }

/**
 * Calls programs of the operator's when something has become of the own PostgreSQL, as the user that it runs as. They are told of what was
 * seen and asked for nothing: no decision, start or stop waits for one of them.
 */
export class CallbackCaller {
  readonly #scope: string
  readonly #glance: () => Glance | undefined
  readonly #lane: CallbackLane
  /** As with Patroni, who is told of a reload is in nobody's way. */
  readonly #reloads: CallbackLane
  #settings: CallbackSettings
  #told: Told = {}

  constructor(
    deps: { log: Logger; osUser: OsUser | undefined; scope: string; glance: () => Glance | undefined },
    settings: CallbackSettings,
  ) {
    this.#scope = deps.scope
    this.#glance = deps.glance
    this.#lane = new CallbackLane(deps.log, deps.osUser)
    this.#reloads = new CallbackLane(deps.log, deps.osUser)
    this.#settings = settings
  }

  use(settings: CallbackSettings): void {
    this.#settings = settings
  }

  /** Cheap, and called whenever something may have changed. */
  look(): void {
    const glance = this.#glance()
    if (!glance) return
    const { told, call } = callAfter(this.#told, glance)
    this.#told = told
    if (call) this.#call(this.#lane, call.action, call.role)
  }

  /** Settings were read again. */
  reloaded(): void {
    const { role, life } = this.#told
    if (role !== undefined && life !== undefined) this.#call(this.#reloads, 'on_reload', role)
  }

  /** Resolves when nobody is called any more, or when the time is over: what runs then goes on alone. */
  async settle(withinMs: number): Promise<void> {
    const done = new AbortController()
    const idle = Promise.all([this.#lane.idle(), this.#reloads.idle()]).then(() => done.abort())
    await Promise.race([idle, pause(withinMs, done.signal)])
  }

  #call(lane: CallbackLane, action: CallbackAction, role: Role): void {
    const { commands, timeoutMs } = this.#settings
    const words = commands[action]
    if (words === undefined) return
    const about = { action, role: WORDS[role] }
    lane.call({ words: [...words, action, about.role, this.#scope], timeoutMs, about })
  }
}
