import type { MemberRefused, RemoveOutcome } from '../../api/ports.ts'
import type { Keys } from '../../ha/keys.ts'
import type { Clock, Store } from '../../ha/ports.ts'
import { rulesOf } from '../../model/ack-rule.ts'
import type { EpochRecord } from '../../model/epoch-record.ts'
import type { RegisteredNode, Registry } from '../../model/membership.ts'
import { plus } from '../../model/time.ts'
import type { Membership } from '../../store/raft/membership.ts'
import { nearest } from '../../std/nearest.ts'
import { SECOND } from '../../std/units.ts'
import { pauseOn } from '../../ha/pause-on.ts'
import { refused } from '../refused.ts'
import { parseInvitation } from './invitations.ts'
import { isSameIdentity, readRegistry, removeOperations, type Identity } from './registry.ts'

const WRITE_MS = 3 * SECOND
/** A renewal of the lease comes in between now and then. */
const TRIES = 6
const CONSENSUS_MS = 10 * SECOND
/** So long the primary has for letting commits wait for others: a change of who they wait for takes a flush on each of them. */
const UNCOUNTED_MS = 10 * SECOND
const LOOK_EVERY_MS = 50

export type RemovalDeps = {
  readonly clock: Clock
  readonly store: Store & { membership(): Membership }
  readonly keys: Keys
  readonly record: () => { readonly record: EpochRecord; readonly revision: number } | undefined
  /** A member is primary and its lease is not overdue. */
  readonly isSettled: () => boolean
  /** Commits wait for a standby even when there is none. */
  readonly isStrict: boolean
  /** Commits may wait for this member, as far as anybody here has heard. */
  readonly mayAcknowledge: (name: string) => boolean
  /** This node, or heard within the silence limit. */
  readonly isReachable: (name: string) => boolean
  /** Tells the primary whom no commit should wait for from now on. */
  readonly announce: () => void
}

/**
 * Takes a member out of the registry; whoever leads consensus takes it out of there. Refused for the member that holds the right to
 * be primary, on condition of the very record that was looked at: it cannot become primary in between.
 *
 * Order: no commit waits for it before it goes. Its pledge might be needed to take over, and commits of a primary whose rule nobody
 * else can keep would wait for ever (safety.md 8, 30).
 */
export async function removeMember(deps: RemovalDeps, name: string): Promise<RemoveOutcome> {
  const { clock, store, keys } = deps
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    await store.read(keys.nodes, { deadlineMs: WRITE_MS })
    const registry = readRegistry(store, keys)
    const seen = deps.record()
    const node = registry?.nodes.find((one) => one.name === name)
    const refusal = refuse(deps, { name, registry, record: seen?.record })
    if (refusal || !registry || !seen || !node) return refusal ?? refused('NOT_READY', 'Nothing is known yet')
    if (isCounted(seen.record, name)) {
      if (!(await awaitUncounted(deps, name))) return stillCounted(name)
      continue
    }
    const entry = store.peek(keys.node(name))
    const removed = { ...node, at: new Date(clock.wall()).toISOString() }
    const invitations = store
      .peekPrefix(keys.invitations)
      .filter((one) => parseInvitation(one)?.name === name)
      .map(({ key }) => ({ kind: 'delete', key }) as const)
    const { succeeded } = await store.transact(
      {
        compares: [
          { kind: 'mod', key: keys.epoch, revision: seen.revision },
          { kind: 'mod', key: keys.node(name), revision: entry?.modRevision ?? 0 },
        ],
        operations: [...removeOperations(keys, registry, removed), ...invitations],
      },
      { deadlineMs: WRITE_MS },
    )
    if (!succeeded) continue
    return {
      kind: 'done',
      name,
      removedAt: removed.at,
      consensus: await awaitConsensus(deps, node),
      remaining: registry.nodes.map((one) => one.name).filter((other) => other !== name),
    }
  }
  return refused('BUSY', `The record of the primary changed ${TRIES} times while "${name}" was being removed`)
}

function refuse(
  deps: RemovalDeps,
  about: { name: string; registry: Registry | undefined; record: EpochRecord | undefined },
): MemberRefused | undefined {
  const { name, registry, record } = about
  if (!registry) {
    return refused('NOT_READY', 'The registry of members was not begun yet: wait until all nodes answer')
  }
  const names = registry.nodes.map((node) => node.name)
  if (!names.includes(name)) {
    const meant = nearest(name, names)
    return refused(
      'UNKNOWN',
      `There is no member "${name}": the members are ${names.join(', ')}`,
      meant === undefined ? undefined : `Did you mean ${meant}?`,
    )
  }
  if (names.length === 1) return refused('IS_LAST', `"${name}" is the last member`)
  if (!record || !deps.isSettled()) {
    return refused(
      'TAKE_OVER',
      'No member is primary and settled now',
      'Try again when "pg-metako list" shows one',
    )
  }
  if (record.holder === name) {
    return refused('IS_PRIMARY', `"${name}" is the primary`, 'First: pg-metako switchover')
  }
  const others = names.filter((other) => other !== name && other !== record.holder)
  if (deps.isStrict && !others.some((other) => deps.mayAcknowledge(other))) {
    return refused(
      'IS_ONLY_STANDBY',
      `Without "${name}" no standby is left that commits may wait for, and they would wait for one`,
      'Add another one first, or take back its tags nosync and nofailover',
    )
  }
  return refuseNeeded(deps, name, registry.nodes)
}

/** Consensus would refuse it as well, but then it would be out of the registry already and be waited for. */
function refuseNeeded(
  deps: RemovalDeps,
  name: string,
  nodes: readonly RegisteredNode[],
): MemberRefused | undefined {
  const { voters } = deps.store.membership()
  // Who was removed and came back with another log is heard under the name of a vote that nobody can give any more.
  const isAnswering = (voter: Identity): boolean =>
    nodes.some((node) => isSameIdentity(node, voter)) && deps.isReachable(voter.name)
  const left = voters.filter((voter) => voter.name !== name)
  const answering = left.filter((voter) => isAnswering(voter)).length
  const majority = Math.floor(left.length / 2) + 1
  if (left.length > 0 && answering >= majority) return undefined
  const silent = left.filter((voter) => !isAnswering(voter)).map((voter) => voter.name)
  return refused(
    'IS_NEEDED',
    `Without "${name}" ${answering} of ${left.length} voters would answer, ${majority} must (of ${nodes.length} members ${silent.join(', ') || 'nobody'} is silent)`,
    silent[0] === undefined ? undefined : `Start ${silent.join(', ')}, or remove the dead one first`,
  )
}

function isCounted({ acks = [] }: EpochRecord, name: string): boolean {
  return acks.flatMap(rulesOf).some(({ members }) => members.some((it) => it.name === name))
}

/** Also when there is nobody any more who could let it go: the next look finds out. */
async function awaitUncounted(deps: RemovalDeps, name: string): Promise<boolean> {
  const { clock } = deps
  deps.announce()
  const until = plus(clock.monotonic(), UNCOUNTED_MS)
  for (;;) {
    const record = deps.record()?.record
    if (!record || !deps.isSettled() || !isCounted(record, name)) return true
    if (clock.monotonic() >= until) return false
    await pauseOn(clock, LOOK_EVERY_MS)
  }
}

function stillCounted(name: string): MemberRefused {
  return refused(
    'IS_NEEDED',
    `Commits wait for "${name}", and after ${UNCOUNTED_MS / SECOND} s nobody else had all of them`,
    'Bring another standby up to date first ("pg-metako list" shows lag), or take back its tags nosync and nofailover',
  )
}

async function awaitConsensus(
  { clock, store }: RemovalDeps,
  node: RegisteredNode,
): Promise<'done' | 'pending'> {
  const until = plus(clock.monotonic(), CONSENSUS_MS)
  for (;;) {
    const { voters, learners } = store.membership()
    if (![...voters, ...learners].some((one) => isSameIdentity(one, node))) return 'done'
    if (clock.monotonic() >= until) return 'pending'
    await pauseOn(clock, LOOK_EVERY_MS)
  }
}
