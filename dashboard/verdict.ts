import type { ClusterView, Finding, MemberView } from '#client'
import { duration, listed, plural } from './format.ts'
import { adviceFor } from './advice.ts'
import { holderOf } from './topology.ts'

export type Tone = 'good' | 'warning' | 'critical' | 'unknown'

/** What somebody who was woken has to know first, in one sentence; then what is wrong, each with what to do. */
export type Verdict = {
  readonly tone: Tone
  readonly headline: string
  readonly detail: string
  readonly troubles: readonly Trouble[]
}

export type Trouble = {
  readonly tone: Exclude<Tone, 'good'>
  readonly member?: string
  readonly text: string
  /** What a person does about it; absent: nothing, it mends itself. */
  readonly advice?: string
}

export function verdictOf(view: ClusterView): Verdict {
  const troubles = troublesOf(view)
  const { headline, detail, tone } = sentenceOf(view)
  const tones: readonly Tone[] = [tone, ...troubles.map((one) => one.tone)]
  const worst = tones.includes('critical') ? 'critical' : tones.includes('warning') ? 'warning' : tone
  return { tone: worst, headline, detail, troubles }
}

type Sentence = Pick<Verdict, 'tone' | 'headline' | 'detail'>

function sentenceOf(view: ClusterView): Sentence {
  const { record, self, consensus } = view
  if (!record)
    return { tone: 'unknown', headline: 'The cluster is being created', detail: `${self} ${view.stance}` }
  if (!consensus.hasQuorum) return cutOff(view)
  const holder = holderOf(view)
  if (holder === undefined) {
    const detail =
      record.state === 'released'
        ? `${record.holder} gave its right up (${record.release?.reason ?? record.reason}); the best of the others takes over`
        : `Epoch ${record.epoch} has begun: ${record.reason}. New statements wait in the routers`
    return { tone: 'critical', headline: 'No primary: a take-over is under way', detail }
  }
  const primary = view.members.find(({ facts }) => facts.name === holder)
  const obstacle = primary ? obstacleToWriting(primary, view) : `${holder} is not known here`
  if (obstacle !== undefined)
    return {
      tone: 'critical',
      headline: `Writes do not flow: ${obstacle}`,
      detail: `${holder} holds epoch ${record.epoch}`,
    }
  return { tone: 'good', headline: `Writes flow to ${holder}`, detail: protection(view) }
}

function cutOff(view: ClusterView): Sentence {
  const heard = view.members.filter(({ reachable, facts }) => reachable && facts.name !== view.self)
  const names = listed(heard.map(({ facts }) => facts.name))
  const ages = view.members
    .filter(({ reachable }) => !reachable)
    .flatMap(({ heardMsAgo }) => heardMsAgo ?? [])
  const oldest =
    ages.length === 0 ? '' : ` What it shows of the others is ${duration(Math.max(...ages))} old.`
  return {
    tone: 'critical',
    headline: `${view.self} is cut off from the majority`,
    detail: `It hears ${names === '' ? 'nobody' : `only ${names}`}; the others may have another primary by now.${oldest}`,
  }
}

/** Why the member that holds the right cannot take writes; `undefined` when nothing speaks against it. */
function obstacleToWriting({ facts, reachable }: MemberView, view: ClusterView): string | undefined {
  const { name, instance, writePath } = facts
  if (!reachable) return `${name}, the primary, is not heard`
  if (instance.state !== 'running') return `PostgreSQL of ${name} is ${instance.state}`
  if (instance.role !== 'primary') return `${name} is not open yet`
  if (writePath?.state === 'stalled') return `the disk of ${name} stalls`
  if (writePath?.state === 'full') return `the disk of ${name} is full`
  if (view.findings.some(({ code }) => code === 'COMMITS_WAIT')) return 'commits wait for a standby'
  return undefined
}

function protection({ record, members }: ClusterView): string {
  const rule = record?.acks?.at(-1)?.rule
  const databases = members.filter(({ facts }) => !facts.witness)
  const running = databases.filter((one) => one.reachable && one.facts.instance.state === 'running')
  const standing = `${running.length} of ${plural(databases.length, 'member')} run`
  if (!rule) return `${standing}; commits wait for no standby`
  if (rule.k === 0) return `${standing}; no standby has what is committed now`
  return `${standing}; each commit is on ${plural(rule.k, 'more disk')} before it is acknowledged`
}

function troublesOf(view: ClusterView): readonly Trouble[] {
  const told = view.findings.filter(({ severity }) => severity !== 'info')
  // The members say the same of themselves, and each with its own words.
  const own = told.filter(({ code }) => !SAID_OF_MEMBERS.has(code)).map((finding) => troubleOf(finding, view))
  const members = view.members.flatMap((member) => memberTrouble(member, view) ?? [])
  return [...own, ...members].toSorted((one, other) => rank(one) - rank(other))
}

const SAID_OF_MEMBERS: ReadonlySet<string> = new Set(['MEMBER_SILENT', 'INSTANCE_TROUBLE'])

function rank({ tone }: Trouble): number {
  return ['critical', 'warning', 'unknown'].indexOf(tone)
}

function troubleOf(finding: Finding, view: ClusterView): Trouble {
  const advice = adviceFor(finding.code, view)
  return {
    tone: finding.severity === 'critical' ? 'critical' : 'warning',
    text: finding.message,
    ...(advice === undefined ? {} : { advice }),
  }
}

/** What is wrong with one member, worst first; `undefined` when it does what it should. */
export function memberTrouble(member: MemberView, view: ClusterView): Trouble | undefined {
  const { facts, reachable, heardMsAgo } = member
  const { name, instance } = facts
  const isHolder = holderOf(view) === name
  const said = (tone: Trouble['tone'], text: string, code: string): Trouble => {
    const advice = adviceFor(code, view)
    return {
      tone: isHolder && tone === 'warning' ? 'critical' : tone,
      member: name,
      text,
      ...(advice === undefined ? {} : { advice }),
    }
  }
  if (!reachable) {
    const since = heardMsAgo === undefined ? 'was never heard' : `was not heard for ${duration(heardMsAgo)}`
    return said('warning', `${name} ${since}`, 'MEMBER_SILENT')
  }
  if (facts.witness) return undefined
  const { clone, trouble } = instance
  if (instance.state === 'cloning' || instance.state === 'rewinding') {
    const share = clone?.bytesTotal ? ` (${Math.floor((100 * clone.bytesDone) / clone.bytesTotal)} %)` : ''
    return said('unknown', `${name} comes back: it is ${instance.state}${share}`, 'COMES_BACK')
  }
  if (instance.state === 'starting' || instance.state === 'initialising')
    return said('unknown', `${name} is ${instance.state}`, 'COMES_BACK')
  if (instance.state !== 'running')
    return said(
      'warning',
      `PostgreSQL of ${name} is ${instance.state}${trouble ? `: ${trouble}` : ''}`,
      'INSTANCE_DOWN',
    )
  return runningTrouble(member, view, said)
}

function runningTrouble(
  { facts }: MemberView,
  view: ClusterView,
  said: (tone: Trouble['tone'], text: string, code: string) => Trouble,
): Trouble | undefined {
  const { name, instance, writePath, guard } = facts
  if (writePath?.state === 'stalled')
    return said('warning', `Writing stalls on ${name}`, 'WRITE_PATH_STALLED')
  if (writePath?.state === 'full') return said('warning', `The disk of ${name} is full`, 'DISK_FULL')
  if (writePath?.state === 'no-slot')
    return said('warning', `PostgreSQL of ${name} has no connection slot left`, 'NO_CONNECTION_SLOTS')
  if (instance.role === 'standby' && instance.streaming !== true && isPrimaryThere(view, name))
    return said('warning', `${name} does not stream`, 'NOT_STREAMING')
  if (guard === 'absent' && view.mode === 'managed')
    return said('warning', `The guard of ${name} does not run`, 'GUARD_ABSENT')
  if (instance.trouble !== undefined)
    return said('warning', `${name}: ${instance.trouble}`, 'INSTANCE_TROUBLE')
  return undefined
}

/** Nobody can stream from a primary that is down: that is its trouble, not theirs. */
function isPrimaryThere(view: ClusterView, besides: string): boolean {
  const holder = holderOf(view)
  return view.members.some(
    ({ facts, reachable }) =>
      facts.name === holder && facts.name !== besides && reachable && facts.instance.state === 'running',
  )
}
