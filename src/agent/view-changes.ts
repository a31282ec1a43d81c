import type { ClusterEvent } from '#client'
import { isHeld } from '../model/epoch-record.ts'
import type { ClusterView, MemberView } from '../model/cluster-view.ts'

export type Change = Omit<ClusterEvent, 'number' | 'at'>

/** What people should hear of when one picture of the cluster follows another. */
export function changesBetween(before: ClusterView, after: ClusterView): readonly Change[] {
  return [
    ...consensusChanges(before, after),
    ...recordChanges(before, after),
    ...after.members.flatMap((member) => memberChanges(memberOf(before, member.facts.name), member)),
    ...streamChanges(before, after),
    ...findingChanges(before, after),
    ...lossChanges(before, after),
  ]
}

function memberOf({ members }: ClusterView, name: string): MemberView | undefined {
  return members.find(({ facts }) => facts.name === name)
}

function consensusChanges(before: ClusterView, after: ClusterView): readonly Change[] {
  if (before.consensus.hasQuorum === after.consensus.hasQuorum) return []
  return after.consensus.hasQuorum
    ? [{ severity: 'good', text: 'A majority of voters answers again' }]
    : [{ severity: 'critical', text: 'No majority of voters answers this node' }]
}

function recordChanges({ record: before }: ClusterView, { record: after }: ClusterView): readonly Change[] {
  if (!after || (before?.epoch === after.epoch && before.state === after.state)) return []
  const { epoch, holder, reason, state, timeline } = after
  switch (state) {
    case 'pledging':
      return [{ severity: 'warning', text: `Epoch ${epoch} has begun: a take-over is under way (${reason})` }]
    case 'authorised':
      return [
        { severity: 'warning', member: holder, text: `${holder} may take over, epoch ${epoch} (${reason})` },
      ]
    case 'open':
      return [
        {
          severity: 'good',
          member: holder,
          text: `${holder} is primary: epoch ${epoch}, timeline ${timeline} (${reason})`,
        },
      ]
    case 'released':
      return before && isHeld(before)
        ? [
            {
              severity: 'warning',
              member: holder,
              text: `${holder} gave its right to be primary up (${after.release?.reason ?? reason})`,
            },
          ]
        : []
  }
}

function memberChanges(before: MemberView | undefined, after: MemberView): readonly Change[] {
  const { name, instance } = after.facts
  if (!before) return [{ severity: 'info', member: name, text: `${name} is heard for the first time` }]
  const changes: Change[] = []
  if (before.reachable !== after.reachable) {
    changes.push(
      after.reachable
        ? { severity: 'good', member: name, text: `${name} is heard again` }
        : { severity: 'warning', member: name, text: `${name} is not heard any more` },
    )
  }
  const was = before.facts.instance
  // What was copied looks as after a crash until it is started.
  const isCopied = (was.state === 'cloning' || was.state === 'rewinding') && instance.state === 'crashed'
  if (isCopied) changes.push({ severity: 'info', member: name, text: `The data of ${name} is there` })
  else if (was.state !== instance.state) {
    const severity =
      instance.state === 'running' ? 'good' : instance.state === 'crashed' ? 'critical' : 'info'
    changes.push({ severity, member: name, text: `PostgreSQL of ${name} is ${instance.state}` })
  }
  return changes
}

function streamChanges(before: ClusterView, after: ClusterView): readonly Change[] {
  const isThere = (view: ClusterView, one: { from: string; to: string }) =>
    view.streams.some(({ from, to, state }) => from === one.from && to === one.to && state === 'streaming')
  const begun = after.streams.filter((one) => isThere(after, one) && !isThere(before, one))
  const ended = before.streams.filter((one) => isThere(before, one) && !isThere(after, one))
  return [
    ...ended.map(({ from, to }) => ({
      severity: 'info' as const,
      member: to,
      text: `${to} streams from ${from} no more`,
    })),
    ...begun.map(({ from, to }) => ({
      severity: 'good' as const,
      member: to,
      text: `${to} streams from ${from}`,
    })),
  ]
}

function findingChanges(
  { findings: before }: ClusterView,
  { findings: after }: ClusterView,
): readonly Change[] {
  const without = (some: ClusterView['findings'], others: ClusterView['findings']) =>
    some.filter(({ code }) => !SAID_OTHERWISE.has(code) && !others.some((other) => other.code === code))
  return [
    ...without(after, before).map(({ severity, message }) => ({ severity, text: message })),
    ...without(before, after).map(({ message }) => ({
      severity: 'good' as const,
      text: `Over: ${message.split(':', 1)[0]}`,
    })),
  ]
}

/** Findings whose beginning and end are told of the members, or of consensus. */
const SAID_OTHERWISE: ReadonlySet<string> = new Set(['MEMBER_SILENT', 'NO_QUORUM', 'INSTANCE_TROUBLE'])

function lossChanges({ losses: before }: ClusterView, { losses: after }: ClusterView): readonly Change[] {
  return after.slice(before.length).map(({ member, transactions, epoch }) => ({
    severity: 'warning',
    member,
    text: `The take-over of epoch ${epoch} left ${transactions} transaction${transactions === 1 ? '' : 's'} behind that only ${member} had; their WAL is kept`,
  }))
}
