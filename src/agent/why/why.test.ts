import { beforeEach, describe, expect, it } from 'vitest'
import type { WhyQuestion } from '#client'
import { newWorld, runCommand, snapshotOf } from '../../../test/support/decide-transcript.ts'
import { decide } from '../../ha/decide/decide.ts'
import { whyOf } from './why.ts'

const VOTERS = ['n1', 'n2', 'n3']
let world: ReturnType<typeof newWorld>

/** Three members, n1 is the primary of epoch 7; `lines` say what is otherwise. */
function given(...lines: readonly string[]): void {
  for (const line of [
    'member n1 primary senders=n2,n3',
    'member n2 standby',
    'member n3 standby',
    'record holder=n1 epoch=7 open',
    ...lines,
  ])
    change(line)
}

function change(line: string): void {
  runCommand(world, line)
}

function why(self: string, reads: Parameters<typeof whyOf>[0]['reads'] = []) {
  const seen = snapshotOf(world, self)
  const decision = decide(seen)
  const last = { seen, decision }
  return whyOf({ self, takenAt: '', last, stance: '', voters: VOTERS, reads })
}

function ask(self: string, question: WhyQuestion, member?: string): string {
  const document = why(self)
  const answers =
    member === undefined ? document.cluster : document.members.find(({ name }) => name === member)?.answers
  const found = answers?.find((one) => one.question === question)
  return found ? `${found.isWell ? 'well' : 'not well'} ${found.reason}: ${found.sentence}` : 'no answer'
}

beforeEach(() => {
  world = newWorld()
})

describe('why there is no failover', () => {
  it('while the primary is well: signs of life and lease, with their limits', () => {
    given()
    expect(ask('n1', 'FAILOVER')).toBe(
      'well HOLDS_LEASE: n1 is primary of epoch 7, timeline 1: its lease is proven for 1.0 s more',
    )
    expect(ask('n2', 'FAILOVER')).toBe(
      'well LEASE_HELD: n1 runs as primary and was heard 50 ms ago (limit 800 ms), and the lease of epoch 7 ends for n2 in 3.1 s, unless it is renewed',
    )
  })

  it('while a silent primary has its lease still: for how long, and what a knock found', () => {
    given('member n1 primary heard=2100', 'record holder=n1 epoch=7 open age=2100', 'set n2 knock=answers')
    expect(ask('n2', 'FAILOVER')).toBe(
      'not well LEASE_HELD: n1 was not heard for 2.1 s (limit 800 ms), its PostgreSQL answers a knock, and the lease of epoch 7 ends for n2 in 1.1 s, unless it is renewed',
    )
  })

  it('where nobody may take over: the rule that says so, with what to do', () => {
    given('member n1 primary heard=9000 guard=absent', 'record holder=n1 epoch=7 open age=9000 unfenced')
    expect(ask('n2', 'FAILOVER')).toMatch(
      /^not well HOLDER_UNFENCED: Nobody takes over from n1: .*pg-metako confirm-down n1$/,
    )
  })

  it('where those who have the commits are away: how many more of whom are missing', () => {
    given(
      'member n1 primary heard=9000',
      'member n3 standby heard=9000',
      'record holder=n1 epoch=7 open age=9000 acks=7:n1:1/n2,n3',
      'policy acks=quorum',
    )
    expect(ask('n2', 'FAILOVER')).toBe(
      'not well AWAITS_PLEDGES: n2 cannot take over from n1: 1 more of n3, or n1 itself, may have commits of epoch 7 that nobody here has',
    )
  })

  it('without a majority: who is heard, and how many are needed', () => {
    given('set n2 quorum=no', 'member n1 primary heard=9000', 'member n3 standby heard=9000')
    expect(ask('n2', 'FAILOVER')).toMatch(/^not well NO_QUORUM: No majority of voters answers/)
    expect(ask('n2', 'CONSENSUS')).toBe(
      'not well NO_QUORUM: no majority answers n2: 1 of 3 voters is heard, n1 and n3 not, and 2 are needed; nothing can be changed or taken over',
    )
  })

  it('in a pause: that nobody acts, and how it ends', () => {
    given('cluster paused=yes')
    expect(ask('n2', 'FAILOVER')).toMatch(/^not well PAUSED: The cluster is paused: .*pg-metako resume$/)
    expect(ask('n1', 'FAILOVER')).toMatch(/^not well PAUSED/)
    expect(ask('n2', 'IF_LOST', 'n2')).toBe('not well PAUSED: takes nothing over while the cluster is paused')
  })

  it('where a primary that cannot write stays: what it lacks, and why nobody is better', () => {
    given('set n1 path=full')
    expect(ask('n1', 'FAILOVER')).toMatch(/^not well DISK_FULL: n1 cannot write: its disk is full\. It stays/)
  })
})

describe('what would be if the primary were lost', () => {
  it('in async mode: who takes over, who does not and by how many bytes', () => {
    given('member n2 standby flush=0/5000', 'member n3 standby flush=0/4000')
    expect(ask('n2', 'IF_LOST', 'n2')).toBe('well TAKES_OVER: takes epoch 8 over from n1')
    expect(ask('n2', 'IF_LOST', 'n3')).toBe('well PASSED_OVER: is not chosen by n2: ranks behind')
    expect(ask('n3', 'IF_LOST', 'n3')).toBe(
      'well NOT_BEST: does not take over: n2 is at 0/5000, this node at 0/4000',
    )
  })

  it('a tag, a lag above the limit, a missing guard: by name and number', () => {
    given(
      'member n2 standby tags=nofailover',
      'member n3 standby flush=0/4000',
      'policy maximumLagBytes=1024',
    )
    expect(ask('n2', 'IF_LOST', 'n2')).toBe('not well NOT_ELIGIBLE: does not take over: is tagged nofailover')
    expect(ask('n3', 'IF_LOST', 'n3')).toBe(
      'not well NOT_ELIGIBLE: does not take over: lag is 4096 bytes, limit is 1024',
    )
    given('member n3 standby', 'set n3 guard=absent')
    expect(ask('n3', 'IF_LOST', 'n3')).toBe(
      'not well NOT_ELIGIBLE: does not take over: its guard process is not running',
    )
  })

  it('in quorum mode: through the pledges of those who are here, to the one who has most', () => {
    given(
      'member n3 standby flush=0/4000',
      'record holder=n1 epoch=7 open acks=7:n1:1/n2,n3',
      'policy acks=quorum',
    )
    expect(ask('n2', 'IF_LOST', 'n2')).toBe('well TAKES_OVER: takes epoch 8 over from n1: n2, n3 pledged')
    expect(ask('n2', 'IF_LOST', 'n3')).toBe(
      'well PASSED_OVER: is not chosen by n2: has less: 0/4000 of timeline 1',
    )
    expect(ask('n3', 'IF_LOST', 'n3')).toBe('well NOT_BEST: does not take epoch 8: n2 has more')
  })

  it('of two who are as good, one leaves it to the other', () => {
    given('record holder=n1 epoch=7 open acks=7:n1:1/n2,n3', 'policy acks=quorum')
    expect(ask('n2', 'IF_LOST', 'n2')).toMatch(/^well TAKES_OVER/)
    expect(ask('n3', 'IF_LOST', 'n3')).toBe('well NOT_BEST: leaves epoch 8 to n2')
  })

  it('of two who have the same WAL, who has replayed less of it now has replayed it by then', () => {
    given(
      'member n2 standby flush=0/5000 replay=0/4000',
      'record holder=n1 epoch=7 open acks=7:n1:1/n2,n3',
      'policy acks=quorum',
    )
    expect(ask('n2', 'IF_LOST', 'n2')).toMatch(/^well TAKES_OVER/)
    expect(ask('n3', 'IF_LOST', 'n3')).toBe('well NOT_BEST: leaves epoch 8 to n2')
  })

  it('nobody, where the primary is a voter that the majority needs', () => {
    given('member n3 standby heard=9000')
    expect(ask('n2', 'IF_LOST', 'n2')).toBe(
      'not well NO_QUORUM: waits for a majority of voters: 1 of 3 would answer',
    )
  })

  it('nobody, where only an absent member could prove that nothing is lost', () => {
    given(
      'cluster members=n1,n2,n3,n4,n5',
      'member n3 standby heard=9000',
      'member n4 standby',
      'member n5 standby heard=9000',
      'record holder=n1 epoch=7 open acks=7:n1:1/n2,n3',
      'policy acks=quorum',
    )
    const seen = snapshotOf(world, 'n2')
    const last = { seen, decision: decide(seen) }
    const { members } = whyOf({
      self: 'n2',
      takenAt: '',
      last,
      stance: '',
      voters: ['n1', 'n2', 'n4'],
      reads: [],
    })
    expect(members.find(({ name }) => name === 'n2')?.answers).toContainEqual({
      question: 'IF_LOST',
      isWell: false,
      reason: 'AWAITS_PLEDGES',
      sentence:
        'cannot take over from n1: 1 more of n3, or n1 itself, may have commits of epoch 7 that nobody here has',
    })
  })

  it('is asked of a standby with a primary, and of nobody else', () => {
    given()
    expect(ask('n1', 'IF_LOST', 'n1')).toBe('no answer')
    given('record holder=n1 epoch=7 released reason=SWITCHOVER')
    expect(ask('n2', 'IF_LOST', 'n2')).toBe('no answer')
  })

  it('changes nothing of what is really decided', () => {
    given()
    const seen = snapshotOf(world, 'n2')
    const before = JSON.stringify([seen, decide(seen)], big)
    why('n2')
    expect(JSON.stringify([seen, decide(seen)], big)).toBe(before)
  })
})

describe('whom commits wait for', () => {
  it('in async mode nobody: and how far the nearest standby is', () => {
    given()
    expect(ask('n2', 'COMMITS')).toMatch(
      /^not well WAITS_FOR_NOBODY: commits wait for nobody \(replication.mode is async\)/,
    )
  })

  it('by the rule in the record, and who of it streams', () => {
    given(
      'record holder=n1 epoch=7 open acks=7:n1:1/n2,n3',
      'policy acks=quorum',
      'member n1 primary senders=n2',
    )
    expect(ask('n1', 'COMMITS')).toBe(
      'well ACKNOWLEDGED: each commit waits for 1 of n2 and n3, 1 streams: n2, n3 does not',
    )
    change('member n1 primary')
    expect(ask('n1', 'COMMITS')).toMatch(/^not well COMMITS_WAIT: .*no commit is acknowledged now/)
    change('record holder=n1 epoch=7 open acks=7:n1:0/')
    expect(ask('n1', 'COMMITS')).toMatch(/^not well COMMITS_UNPROTECTED: .*only n1 has/)
  })

  it('and of each member whether it counts, or why not', () => {
    given(
      'record holder=n1 epoch=7 open acks=7:n1:1/n2',
      'policy acks=quorum',
      'member n1 primary senders=n2',
      'member n3 standby tags=nosync',
    )
    expect(ask('n1', 'ACKNOWLEDGES', 'n2')).toBe('well COUNTED: commits wait for 1 of n2, it is one of them')
    expect(ask('n1', 'ACKNOWLEDGES', 'n3')).toBe(
      'not well NOT_COUNTED: no commit waits for it: it is tagged nosync',
    )
    change('member n3 standby')
    expect(ask('n1', 'ACKNOWLEDGES', 'n3')).toMatch(/does not stream from the primary$/)
  })
})

describe('what a member does', () => {
  it('of itself by its decision, of others by what is known of them', () => {
    given('member n3 standby streaming=no', 'set n3 unstreamed=4000')
    expect(ask('n2', 'DOING', 'n2')).toBe('well FOLLOWS_HOLDER: standby of n1, streams, 0 B behind')
    expect(ask('n3', 'DOING', 'n3')).toBe(
      'not well FOLLOWS_HOLDER: standby of n1, 0 B behind, does not stream for 4.0 s',
    )
    expect(ask('n2', 'DOING', 'n3')).toMatch(/^not well RUNNING: its PostgreSQL is running as standby/)
    given('member n3 standby heard=5000')
    expect(ask('n2', 'DOING', 'n3')).toBe('not well SILENT: was not heard by n2 for 5.0 s (limit 800 ms)')
  })

  it('reads: in the pool, or what keeps it out', () => {
    given()
    const { members } = why('n2', [{ name: 'n2' }, { name: 'n3', obstacle: 'is tagged noloadbalance' }])
    const reads = members.flatMap(({ answers }) => answers.filter((one) => one.question === 'READS'))
    expect(reads.map(({ reason, sentence }) => `${reason}: ${sentence}`)).toEqual([
      'IN_POOL: routers lead reads there',
      'NOT_IN_POOL: routers lead no reads there: it is tagged noloadbalance',
    ])
  })

  it('says what a node waits for that decides nothing yet', () => {
    const stance = 'waits for n3: a new cluster begins when all members answer'
    const document = whyOf({ self: 'n1', takenAt: '', last: undefined, stance, voters: [], reads: [] })
    expect(document.members[0]?.answers[0]).toMatchObject({ reason: 'NO_DECISION', sentence: stance })
  })
})

const big = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value)
