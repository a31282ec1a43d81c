import { Fault } from '../../std/fault.ts'
import { SECOND } from '../../std/units.ts'
import {
  countWith,
  isIn,
  isSameRule,
  NO_ACKS,
  rulesOf,
  synchronousNamesOf,
  walNameOf,
  NOBODY,
  type AckLink,
  type AckRule,
} from '../../model/ack-rule.ts'
import { parseLsn } from '../../model/lsn.ts'
import type { InstanceFacts } from '../../model/member.ts'
import { pauseOn } from '../pause-on.ts'
import { changeOwnLink } from './change-record.ts'
import type { World } from './world.ts'

const PROOF_MS = 3 * SECOND
const LOOK_MS = 10

/**
 * Makes `to` the rule that commits are acknowledged by. Order (safety.md 1): published as `next` first, so that whoever takes over
 * reckons with both; then set, and proven at every process that decides who counts; then everything that the old rule may have
 * acknowledged is on enough members of the new one; only then is it the rule alone. May be begun again after a crash anywhere.
 */
export async function changeAcks(world: World, to: AckRule): Promise<void> {
  const { instance, policy, keeper } = world
  const link = keeper.record?.acks?.at(-1)
  if (link?.next && !isOneOf(link, to)) return changeWhileHeld(world, to)
  const before = link ? rulesOf(link) : [NO_ACKS]
  const published = await publish(world, to)
  await instance.setSynchronousNames(synchronousNamesOf(to, policy.acks))
  await restartUnproven(world, before, to)
  await proveSenders(world, to)
  if (!published) return
  await reach(world, to)
  await settle(world, to, (link) => isOneOf(link, to))
}

/**
 * Neither the rule nor the one that was to follow it can be reached, and a third one may not be published beside them: whoever takes over
 * reckons with two. Order: nothing is acknowledged any more, proven at every process that decides; what was acknowledged until then is on
 * enough of the new members; then theirs is the rule alone, and only then may they acknowledge.
 */
async function changeWhileHeld(world: World, to: AckRule): Promise<void> {
  const { instance, policy } = world
  await instance.setSynchronousNames(NOBODY)
  await proveSenders(world, NO_ACKS)
  await reach(world, to)
  await settle(world, to)
  await instance.setSynchronousNames(synchronousNamesOf(to, policy.acks))
  await proveSenders(world, to)
}

/** False when `to` is the rule already and nothing else is on its way: then it is only set. */
async function publish(world: World, to: AckRule): Promise<boolean> {
  const { keeper } = world
  const link = keeper.record?.acks?.at(-1)
  if (link && isSameRule(link.rule, to)) return link.next !== undefined
  if (link?.next && isSameRule(link.next, to)) return true
  const outcome = await changeOwnLink(world, (one) => (one.next ? undefined : { ...one, next: to }))
  if (outcome.kind !== 'committed') throw notChanged(outcome.kind)
  return true
}

/** A process that stays listed shows no trace of another k: it begins anew (safety.md 12). */
async function restartUnproven({ instance }: World, before: readonly AckRule[], to: AckRule): Promise<void> {
  const others = before.filter(({ k }) => k !== to.k).flatMap(({ members }) => members)
  const kept = to.members.filter(isIn(others)).map(walNameOf)
  if (kept.length === 0) return
  const { walSenders = [] } = await instance.facts()
  await instance.restartWalSenders(walSenders.filter(({ name }) => kept.includes(name)).map(({ pid }) => pid))
}

async function proveSenders(world: World, to: AckRule): Promise<void> {
  const listed = new Set(to.k === 0 ? [] : to.members.map(walNameOf))
  await until(world, 'every WAL sender works by the new names', ({ walSenders = [] }) =>
    walSenders.every(
      ({ name, syncPriority, state }) => state !== 'streaming' || syncPriority > 0 === listed.has(name),
    ),
  )
}

/** What was acknowledged until now lies before this moment's end of WAL: it has to be where the new rule looks for it. */
async function reach(world: World, to: AckRule): Promise<void> {
  if (to.k === 0) return
  const { flushLsn = '' } = await world.instance.facts()
  const goal = parseLsn(flushLsn)
  if (goal === undefined)
    throw new Fault('PG_UNREACHABLE', 'Cannot change who acknowledges: the end of WAL is unknown', {
      retryable: true,
    })
  await until(
    world,
    `${to.k} of the new members have all WAL`,
    ({ walSenders = [] }) => countWith(to, walSenders, goal) >= to.k,
  )
}

async function settle(
  world: World,
  to: AckRule,
  mayFrom: (link: AckLink) => boolean = () => true,
): Promise<void> {
  const outcome = await changeOwnLink(world, (one) => {
    if (!one.next || !mayFrom(one)) return undefined
    const { next: _next, ...rest } = one
    return { ...rest, rule: to }
  })
  if (outcome.kind !== 'committed') throw notChanged(outcome.kind)
  world.log.info('Commits wait for others', { k: to.k, members: to.members.map(({ name }) => name) })
}

function isOneOf(link: AckLink, to: AckRule): boolean {
  return rulesOf(link).some((rule) => isSameRule(rule, to))
}

async function until(world: World, what: string, isTrue: (facts: InstanceFacts) => boolean): Promise<void> {
  const giveUpAt = world.clock.monotonic() + PROOF_MS
  for (;;) {
    const facts = await world.instance.facts()
    if (facts.state === 'running' && facts.role === 'primary' && isTrue(facts)) return
    if (world.clock.monotonic() >= giveUpAt) {
      throw new Fault(
        'ACK_RULE_UNPROVEN',
        `Cannot change who acknowledges: not within ${PROOF_MS} ms that ${what}`,
        {
          retryable: true,
        },
      )
    }
    await pauseOn(world.clock, LOOK_MS)
  }
}

function notChanged(kind: string): Fault {
  return new Fault(
    'ACK_RULE_UNPROVEN',
    `Cannot change who acknowledges: the record was changed meanwhile (${kind})`,
    {
      retryable: true,
    },
  )
}
