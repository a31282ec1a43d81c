import { expect, it } from 'vitest'
import type { Entry, Message } from '../../src/raft/message.ts'
import { step } from '../../src/raft/raft.ts'
import { RAFT_TIMINGS } from '../../src/raft/timing.ts'
import { genesis, RaftNode } from '../support/raft-node.ts'
import { CommittedEntriesStay } from './checkers/committed-entries-stay.ts'
import { Violation } from './checkers/violation.ts'
import { commitByCounting } from './planted-bugs.ts'

type Letter = { readonly from: string; readonly to: string; readonly message: Message }

/** Three members whose messages arrive only when a step of the story says so. */
function createStory(usedStep: typeof step): {
  member(name: string, terms: readonly number[]): RaftNode
  /** Lets the named members talk, until a wish is fulfilled or nobody says anything; `entriesMax` entries at a time. */
  talk(
    names: readonly string[],
    options?: { readonly entriesMax: number; readonly until: () => boolean },
  ): void
  elect(name: string, voter: string): void
} {
  const nodes = new Map<string, RaftNode>()
  const checker = new CommittedEntriesStay()
  let mail: Letter[] = []
  let now = 0
  const settleDisk = (node: RaftNode): void => {
    while (node.changeCount > 0) node.sync(node.changeCount, now)
  }
  const deliver = (letter: Letter, entriesMax: number): void => {
    const { from, to, message } = letter
    const node = nodes.get(to)
    const shortened =
      message.kind === 'append' ? { ...message, entries: message.entries.slice(0, entriesMax) } : message
    node?.input({ kind: 'message', group: 'g', from, message: shortened }, now)
    if (node !== undefined) settleDisk(node)
  }
  return {
    member(name, terms) {
      const entries = terms.map((term, index): Entry => {
        return { index: index + 1, term, kind: 'command', body: `${index + 1}@${term}` }
      })
      const durable = {
        ...genesis(['a', 'b', 'c']),
        hardState: { term: 3 },
        log: { baseIndex: 0, baseTerm: 0, entries },
      }
      let applied = 0
      const options = { name, group: 'g', timing: RAFT_TIMINGS.lan, durable, seed: 1, now, step: usedStep }
      const node = new RaftNode(options, {
        send: (to, message) => void mail.push({ from: name, to, message }),
        applied(entry) {
          checker.seeApplied(name, applied, entry)
          applied = entry.index
        },
        restored: () => {},
        effect: () => {},
      })
      nodes.set(name, node)
      return node
    },
    talk(names, { entriesMax, until } = { entriesMax: 100, until: () => false }) {
      for (let rounds = 0; rounds < 20 && !until(); rounds += 1) {
        const arriving = mail.filter(({ from, to }) => names.includes(from) && names.includes(to))
        mail = []
        for (const letter of arriving) deliver(letter, entriesMax)
      }
    },
    elect(name, voter) {
      const node = nodes.get(name)
      if (node === undefined) throw new Error(`No member "${name}"`)
      for (let rounds = 0; node.state.role !== 'leader' && rounds < 20; rounds += 1) {
        // The first question may only bring it the term of today.
        if (node.state.role === 'follower') {
          now += 2000
          node.input({ kind: 'tick' }, now)
        }
        const pair = [name, voter]
        const arriving = mail.filter(({ from, to }) => pair.includes(from) && pair.includes(to))
        mail = []
        for (const letter of arriving) deliver(letter, 0)
        settleDisk(node)
      }
      expect(node.state.role).toBe('leader')
    },
  }
}

/**
 * a has an entry of term 2 that nobody else has, c one of term 3 at the same index. a is elected in term 4 and brings its
 * old entry to b, so that a majority has it, but not yet its entry of term 4; then it dies and c is elected by b.
 */
function playFigure8(usedStep: typeof step): RaftNode {
  const story = createStory(usedStep)
  const a = story.member('a', [1, 2])
  story.member('b', [1])
  const c = story.member('c', [1, 3])
  story.elect('a', 'b')
  story.talk(['a', 'b'], { entriesMax: 1, until: () => a.state.peers.get('b')?.match === 2 })
  story.elect('c', 'b')
  story.talk(['c', 'b'])
  return c
}

it('an entry of an older term that lies on a majority is not committed by that alone', () => {
  expect(playFigure8(step).state.commit).toBe(3)
})

it('the checker of committed entries finds it when an older entry is counted', () => {
  expect(() => playFigure8(commitByCounting)).toThrow(Violation)
})
