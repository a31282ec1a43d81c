import type { Clock } from '../../ha/ports.ts'
import type { Registry } from '../../model/membership.ts'
import type { Logger } from '../../platform/log.ts'
import type { MembershipChange } from '../../raft/membership-change.ts'
import type { RaftStore } from '../../store/raft/raft-store.ts'
import { SECOND } from '../../std/units.ts'
import { nextChange } from './next-change.ts'

const CHANGE_MS = 10 * SECOND
/** What was refused is asked again: the learner catches up, a transfer ends, a take-over is over. */
const AGAIN_MS = 500

export type VoterLoopDeps = {
  readonly clock: Clock
  readonly log: Logger
  readonly group: Pick<RaftStore, 'status' | 'onStatusChange' | 'membership' | 'changeMembership'>
  /** `undefined` until the registry was begun. */
  readonly registry: () => Registry | undefined
  readonly onRegistry: (listener: () => void) => () => void
  /** Somebody holds the right to be primary and uses it: no take-over is under way. */
  readonly isSettled: () => boolean
}

/**
 * Makes the consensus group what the registry says, one change at a time, on the node that leads consensus. What is wanted
 * lies in the store and what is lies in the log, so the next leader goes on where this one stops.
 */
export class VoterLoop {
  readonly #deps: VoterLoopDeps
  readonly #self: string
  readonly #cancels: (() => void)[] = []
  #cancelTimer: (() => void) | undefined
  #isChanging = false
  #isStopped = false
  #lastSaid = ''

  constructor(deps: VoterLoopDeps, self: string) {
    this.#deps = deps
    this.#self = self
  }

  start(): void {
    this.#cancels.push(
      this.#deps.group.onStatusChange(() => this.#look()),
      this.#deps.onRegistry(() => this.#look()),
    )
    this.#look()
  }

  stop(): void {
    this.#isStopped = true
    this.#cancelTimer?.()
    for (const cancel of this.#cancels) cancel()
  }

  #look(): void {
    const change = this.#due()
    if (!change || this.#isChanging) return
    if (!this.#deps.isSettled()) return this.#lookLater()
    void this.#make(change)
  }

  #due(): MembershipChange | undefined {
    const { group, registry } = this.#deps
    const wanted = registry()
    if (this.#isStopped || !wanted || group.status().leader !== this.#self) return undefined
    return nextChange(wanted, group.membership())
  }

  async #make(change: MembershipChange): Promise<void> {
    const { group, log } = this.#deps
    this.#isChanging = true
    let isDone = false
    try {
      const outcome = await group.changeMembership(change, { deadlineMs: CHANGE_MS })
      isDone = outcome.kind === 'done'
      if (isDone) log.info(sentenceOf(change), { change })
      else this.#say('Not changed yet in consensus', { change, outcome })
    } catch (error) {
      log.warn('Cannot change the members of consensus', { change, error })
    } finally {
      this.#isChanging = false
    }
    if (isDone) this.#look()
    else this.#lookLater()
  }

  #lookLater(): void {
    this.#cancelTimer?.()
    if (this.#isStopped) return
    this.#cancelTimer = this.#deps.clock.after(AGAIN_MS, () => this.#look())
  }

  /** Twice a second the same sentence helps nobody. */
  #say(sentence: string, fields: Record<string, unknown>): void {
    const text = JSON.stringify(fields)
    if (text === this.#lastSaid) return
    this.#lastSaid = text
    this.#deps.log.info(sentence, fields)
  }
}

function sentenceOf(change: MembershipChange): string {
  switch (change.kind) {
    case 'add-learner':
      return `${change.member} learns the consensus log`
    case 'promote':
      return `${change.member} votes in consensus`
    case 'remove':
      return `${change.member} is out of consensus`
  }
}
