import type { WhyAnswer, WhyDocument } from '#client'
import type { Decision } from '../../ha/decision.ts'
import { isWitness } from '../../ha/decide/stance.ts'
import type { Snapshot } from '../../ha/snapshot.ts'
import { enumerated } from '../../std/quantity-text.ts'
import { answersTo } from './answer.ts'
import { whoAcknowledges, whomCommitsWaitFor } from './commits.ts'
import { whyNoFailover } from './failover.ts'
import { whatItDoes, whatWaitsForRestart } from './member.ts'
import { supposeHolderLost } from './suppose-lost.ts'

/*
 * Why: answers for people from the very facts and by the very rules that this agent decides by. Nothing here judges: what is said of a
 * decision is the decision's own sentence, and numbers are added to it.
 */

export type WhyFacts = {
  readonly self: string
  readonly takenAt: string
  /** Of the newest turn of the loop; absent before consensus runs, and for a node that was removed. */
  readonly last: { readonly seen: Snapshot; readonly decision: Decision } | undefined
  /** What this node is doing, where there is no decision. */
  readonly stance: string
  readonly voters: readonly string[]
  /** Of every member, why routers lead no reads there; absent: they do. */
  readonly reads: readonly { readonly name: string; readonly obstacle?: string }[]
}

export function whyOf({ self, takenAt, last, stance, voters, reads }: WhyFacts): WhyDocument {
  if (!last) {
    const doing = answersTo('DOING')(false, 'NO_DECISION', stance)
    return { self, takenAt, cluster: [], members: [{ name: self, answers: [doing] }] }
  }
  const { seen, decision } = last
  const lost = ifLost(seen, voters)
  const answersOf = (name: string): readonly WhyAnswer[] => {
    const doing = whatItDoes(seen, decision, name)
    return isWitness(seen, name) ? [doing] : [doing, ...databaseAnswers(name)]
  }
  const databaseAnswers = (name: string): readonly WhyAnswer[] => [
    ...present(lost.get(name)),
    ...present(
      readsOf(
        reads.find((one) => one.name === name),
        seen.store.record?.holder,
      ),
    ),
    ...present(whoAcknowledges(seen, name)),
    ...present(whatWaitsForRestart(seen, name)),
  ]
  return {
    self,
    takenAt,
    cluster: [whyNoFailover(seen, decision), ...present(whomCommitsWaitFor(seen)), whoAnswers(seen, voters)],
    members: seen.members.map((name) => ({
      name,
      answers: answersOf(name),
    })),
  }
}

function present<T>(one: T | undefined): readonly T[] {
  return one === undefined ? [] : [one]
}

/** What this node would do, and of the others what it would say when it took over. */
function ifLost(seen: Snapshot, voters: readonly string[]): ReadonlyMap<string, WhyAnswer> {
  const supposed = supposeHolderLost(seen, voters)
  if (!supposed) return new Map()
  const say = answersTo('IF_LOST')
  if (seen.store.paused)
    return new Map([[seen.self, say(false, 'PAUSED', 'takes nothing over while the cluster is paused')]])
  const { stance, actions } = supposed.decision
  const { answering, all } = supposed.voters
  const isStopped = stance.reason === 'NO_QUORUM'
  const sentence = isStopped ? `${stance.sentence}: ${answering} of ${all} would answer` : stance.sentence
  const isWell = stance.reason === 'TAKES_OVER' || stance.reason === 'NOT_BEST'
  const takeOver = actions.find(({ kind }) => kind === 'take-over')
  const passedOver = takeOver?.kind === 'take-over' ? (takeOver.passedOver ?? []) : []
  return new Map([
    ...passedOver.map(
      ({ name, why }) => [name, say(true, 'PASSED_OVER', `is not chosen by ${seen.self}: ${why}`)] as const,
    ),
    [seen.self, say(isWell, stance.reason, sentence)],
  ])
}

function whoAnswers(seen: Snapshot, voters: readonly string[]): WhyAnswer {
  const say = answersTo('CONSENSUS')
  const isHeard = (name: string) =>
    name === seen.self ||
    seen.peers.some((peer) => peer.name === name && seen.takenAt - peer.heardAt <= seen.policy.silenceLimitMs)
  const there = voters.filter(isHeard)
  const away = voters.filter((name) => !isHeard(name))
  const majority = Math.floor(voters.length / 2) + 1
  const spare = there.length - majority
  const who = `${there.length} of ${voters.length} voters ${there.length === 1 ? 'is' : 'are'} heard${away.length > 0 ? `, ${enumerated(away)} not` : ''}`
  if (!seen.store.hasQuorum) {
    const sentence = `no majority answers ${seen.self}: ${who}, and ${majority} are needed; nothing can be changed or taken over`
    return say(false, 'NO_QUORUM', sentence)
  }
  const mayFail = spare > 0 ? `${spare} more may fail` : 'none of them may fail'
  const sentence = `a majority answers: ${who}, ${majority} are needed, ${mayFail}`
  const isWell = spare > 0 || voters.length === 1
  return say(isWell, isWell ? 'HAS_QUORUM' : 'NO_MARGIN', sentence)
}

function readsOf(
  reader: WhyFacts['reads'][number] | undefined,
  primary: string | undefined,
): WhyAnswer | undefined {
  if (!reader) return undefined
  const say = answersTo('READS')
  const { obstacle } = reader
  return obstacle === undefined
    ? say(true, 'IN_POOL', 'routers lead reads there')
    : say(reader.name === primary, 'NOT_IN_POOL', `routers lead no reads there: it ${obstacle}`)
}
