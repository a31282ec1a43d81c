import { RandomStream } from '../sim/random-stream.ts'

/** What happens to real hosts, as data: a schedule is a value of its seed, and can be printed and made again. Pure. */
export type ChaosFault =
  | { readonly kind: 'kill'; readonly process: KilledProcess }
  /** Agent, guard, router and postmaster at once; the supervisor starts the agent again. */
  | { readonly kind: 'kill-node' }
  /** No process is left and the cable is dead, until the power is back. */
  | { readonly kind: 'crash'; readonly ms: number }
  /** The cable alone, at the switch. */
  | { readonly kind: 'unplug'; readonly ms: number }
  /** Packets of members vanish (`drop`) or are answered by a reset (`reject`). */
  | {
      readonly kind: 'cut'
      readonly way: CutWay
      readonly how: 'drop' | 'reject'
      /** Only what goes to or comes from this one, or the other members; absent: from clients too. */
      readonly peer?: Rank | 'members'
      readonly ms: number
    }
  | { readonly kind: 'loss'; readonly percent: number; readonly ms: number }
  | { readonly kind: 'freeze'; readonly what: FrozenPart; readonly ms: number }
  /** No standby takes in WAL: what is then lost with the primary was on it alone. */
  | { readonly kind: 'lag'; readonly ms: number }
  /** The data directory is empty and PostgreSQL gone; made only at a standby, and while all stream. */
  | { readonly kind: 'wipe' }
  | { readonly kind: 'full-disk'; readonly ms: number }
  /** What is written, by PostgreSQL or by everything of the host, comes late or not before the fault ends. */
  | {
      readonly kind: 'disk'
      readonly of: 'postgres' | 'all'
      /** `stall`, or so many milliseconds more for each write and each flush. */
      readonly how: 'stall' | number
      readonly ms: number
    }
  /** All of the host together gets so much of a processor. */
  | { readonly kind: 'starve'; readonly percent: number; readonly ms: number }
  /** The time of day jumps, for good; the monotonic clock goes on. */
  | { readonly kind: 'clock-step'; readonly seconds: number }
  // What an operator does.
  | { readonly kind: 'restart-agent' }
  /** Agent after agent is told to end and started again, the primary's last, each when the one before is back. */
  | { readonly kind: 'roll'; readonly how: 'stop' | 'detach' }
  | { readonly kind: 'switchover' }

/** All but an upgrade are made at one host, in a moment. */
export type HostFault = Exclude<ChaosFault, { readonly kind: 'roll' }>

/** Who the primary is when the fault is made is 0; the others follow by name. */
export type Rank = number
/** `again`: the host that the fault before hit. */
export type Target = Rank | 'again'
type KilledProcess = 'agent' | 'guard' | 'router' | 'postmaster' | 'walsender' | 'walreceiver'
/** What the host sends, what it is sent, or both. */
type CutWay = 'both' | 'in' | 'out'
/** `fence`: agent and guard stand still, and nobody on the host can fence. */
export type FrozenPart = 'agent' | 'guard' | 'router' | 'postgres' | 'fence' | 'all'

export type ScheduledFault = { readonly atMs: number; readonly target: Target; readonly fault: ChaosFault }
export type ChaosSchedule = { readonly seed: number; readonly faults: readonly ScheduledFault[] }

/**
 * `split`: a cut between the primary and all members, while clients still reach it. `rejoin`: the primary is lost for a moment; when it
 * comes back it, or the primary that it follows then, is hit again.
 */
export const KINDS = [
  'kill',
  'kill-node',
  'crash',
  'unplug',
  'cut',
  'split',
  'loss',
  'lag',
  'freeze',
  'wipe',
  'rejoin',
  'full-disk',
  'disk',
  'starve',
  'clock-step',
  'restart-agent',
  'roll',
  'switchover',
] as const
export type DrawnKind = (typeof KINDS)[number]
/** What takes a primary away. */
const ENDINGS: readonly DrawnKind[] = ['crash', 'kill-node', 'kill', 'split']
/** What has a cost for clients, and so the most to find: drawn twice as often as the others. */
const OFTEN: readonly DrawnKind[] = ['split', 'lag', 'rejoin']
/** What meets a host that copies data or is copied from. */
const DISTURBANCES: readonly DrawnKind[] = [
  'kill',
  'kill-node',
  'crash',
  'unplug',
  'cut',
  'freeze',
  'disk',
  'restart-agent',
]
const FAULTS_MIN = 3
const FAULTS_MAX = 6
/** All within this, so that a schedule with its healing fits into 45 s. */
const LAST_BEGIN_MS = 14_000
const LAST_END_MS = 20_000
const DAY_S = 86_400
/** Whom a cut means. Who is hit again has no rank that is known before, and so no peer. */
const TWO_SCOPES = ['everybody', 'members'] as const
const SCOPES = [...TWO_SCOPES, 'peer'] as const

type ScheduleOptions = {
  readonly seed: number
  readonly nodes: number
  /** Only these, all of them; absent: as the seed draws. */
  readonly kinds?: readonly DrawnKind[] | undefined
}

/** Same seed, same schedule. Each enables some of the kinds only: all of them at once hide what one alone would show. */
export function drawSchedule(options: ScheduleOptions): ChaosSchedule {
  const chance = new RandomStream(options.seed, 'chaos')
  const kinds = enabledKinds(chance, options.kinds)
  const count = chance.below(FAULTS_MAX + 1, FAULTS_MIN)
  const faults: ScheduledFault[] = []
  let before: DrawnKind | undefined
  let atMs = chance.between(300, 1500)
  for (let number = 0; number < count && atMs <= LAST_BEGIN_MS; number += 1) {
    const kind = drawKind(chance, { kinds, before, isFirst: number === 0 })
    const target = drawTarget(chance, { kind, before, nodes: options.nodes })
    const fault = drawFault(chance, kind, { target, nodes: options.nodes })
    faults.push({ atMs: Math.round(atMs), target, fault: endingInTime(fault, atMs) })
    atMs += drawGap(chance, kind) + (kind === 'rejoin' && 'ms' in fault ? fault.ms : 0)
    before = kind
  }
  return { seed: options.seed, faults }
}

/** The same faults, met by an upgrade that begins at once. */
export function withUpgrade({ seed, faults }: ChaosSchedule): ChaosSchedule {
  const how = seed % 2 === 0 ? 'stop' : 'detach'
  return { seed, faults: [{ atMs: 0, target: 0, fault: { kind: 'roll', how } }, ...faults] }
}

function enabledKinds(chance: RandomStream, only: readonly DrawnKind[] | undefined): readonly DrawnKind[] {
  const drawn = KINDS.filter(() => chance.chance(0.5))
  const enabled = only ?? (drawn.length > 0 ? drawn : [chance.pick(KINDS)])
  return [...enabled, ...enabled.filter((kind) => OFTEN.includes(kind))]
}

function drawKind(
  chance: RandomStream,
  at: {
    readonly kinds: readonly DrawnKind[]
    readonly before: DrawnKind | undefined
    readonly isFirst: boolean
  },
): DrawnKind {
  if (at.before === 'lag') return chance.pick(ENDINGS)
  if (at.before === 'rejoin') return chance.pick(DISTURBANCES)
  const drawn = chance.pick(at.kinds)
  // A disk may be taken away only while all stream: before every other fault.
  return drawn === 'wipe' && !at.isFirst ? 'kill' : drawn
}

/** Trouble seldom comes alone, and what takes a while is met while it lasts: a copy of the data, a switchover, an upgrade. */
function drawGap(chance: RandomStream, kind: DrawnKind): number {
  if (kind === 'lag') return chance.between(300, 1500)
  if (kind === 'wipe' || kind === 'rejoin' || kind === 'roll') return chance.between(0, 2500)
  if (kind === 'switchover' && chance.chance(0.5)) return chance.between(0, 500)
  return chance.chance(0.3) ? chance.between(0, 60) : Math.min(6000, chance.exponential(2500))
}

function drawTarget(
  chance: RandomStream,
  at: { readonly kind: DrawnKind; readonly before: DrawnKind | undefined; readonly nodes: number },
): Target {
  if (['split', 'lag', 'rejoin', 'roll'].includes(at.kind) || at.before === 'lag') return 0
  const isPrimary = chance.chance(0.5)
  if (at.before === 'rejoin') return isPrimary ? 0 : 'again'
  const other = at.nodes > 1 ? chance.below(at.nodes, 1) : 0
  return isPrimary && at.kind !== 'wipe' && at.kind !== 'switchover' ? 0 : other
}

function drawFault(
  chance: RandomStream,
  kind: DrawnKind,
  at: { readonly target: Target; readonly nodes: number },
): ChaosFault {
  switch (kind) {
    case 'kill':
      return { kind, process: chance.pick(killable(at.target)) }
    case 'kill-node':
    case 'wipe':
    case 'restart-agent':
    case 'switchover':
      return { kind }
    case 'crash':
      return { kind, ms: duration(chance, [500, 3000, 8000]) }
    case 'unplug':
      return { kind, ms: duration(chance, [400, 2500, 8000]) }
    case 'cut': {
      const [own, scopes] = at.target === 'again' ? [0, TWO_SCOPES] : [at.target, SCOPES]
      const peer = (own + chance.below(at.nodes, 1)) % at.nodes
      const scope = chance.pick(scopes)
      return {
        kind,
        way: chance.pick(['both', 'in', 'out']),
        how: chance.chance(0.3) ? 'reject' : 'drop',
        ...(scope === 'everybody' ? {} : { peer: scope === 'members' ? scope : peer }),
        ms: duration(chance, [400, 2500, 8000]),
      }
    }
    case 'split':
      return { kind: 'cut', way: 'both', how: 'drop', peer: 'members', ms: duration(chance, [1500, 5000]) }
    case 'lag':
      return { kind, ms: duration(chance, [2000, 5000]) }
    case 'loss':
      return { kind, percent: chance.pick([1, 5, 15, 30]), ms: duration(chance, [2000, 8000]) }
    case 'freeze':
      return {
        kind,
        what: chance.pick(['agent', 'guard', 'router', 'postgres', 'fence', 'all', 'all']),
        ms: duration(chance, [200, 1500, 6000]),
      }
    case 'full-disk':
      return { kind, ms: duration(chance, [1000, 5000]) }
    case 'disk':
      return {
        kind,
        of: chance.pick(['postgres', 'all']),
        how: chance.pick(['stall', 'stall', 5, 30, 200]),
        ms: duration(chance, [800, 4000]),
      }
    case 'starve':
      return { kind, percent: chance.pick([3, 10, 25]), ms: duration(chance, [1500, 6000]) }
    case 'clock-step':
      return { kind, seconds: chance.pick([-30 * DAY_S, -3600, -5, 5, 3600, 30 * DAY_S]) }
    case 'roll':
      return { kind, how: chance.pick(['stop', 'detach']) }
    case 'rejoin': {
      const ms = chance.between(500, 3000)
      return chance.chance(0.5)
        ? { kind: 'crash', ms: Math.round(ms) }
        : { kind: 'cut', way: 'both', how: 'drop', peer: 'members', ms: Math.round(ms) }
    }
  }
}

/** Only a primary has a walsender of ours, only a standby a walreceiver. */
function killable(target: Target): readonly KilledProcess[] {
  return ['agent', 'guard', 'router', 'postmaster', 'postmaster', target === 0 ? 'walsender' : 'walreceiver']
}

function duration(chance: RandomStream, means: readonly number[]): number {
  return 100 + Math.round(chance.exponential(chance.pick(means)))
}

function endingInTime(fault: ChaosFault, atMs: number): ChaosFault {
  return 'ms' in fault ? { ...fault, ms: Math.min(fault.ms, Math.round(LAST_END_MS - atMs)) } : fault
}

/** A line a fault, for a person who reads a run. */
export function describeFault({ atMs, target, fault }: ScheduledFault): string {
  const words = [`${(atMs / 1000).toFixed(2)} s`, rankName(target), fault.kind, ...details(fault)]
  return [...words, ...('ms' in fault ? [`for ${(fault.ms / 1000).toFixed(2)} s`] : [])].join(' ')
}

function details(fault: ChaosFault): readonly string[] {
  switch (fault.kind) {
    case 'kill':
      return [fault.process]
    case 'cut':
      return [
        fault.way,
        fault.how,
        ...(fault.peer === undefined
          ? []
          : [`with ${fault.peer === 'members' ? fault.peer : rankName(fault.peer)}`]),
      ]
    case 'loss':
      return [`${fault.percent} %`]
    case 'freeze':
      return [fault.what]
    case 'disk':
      return ['of', fault.of, ...(fault.how === 'stall' ? [fault.how] : ['late by', `${fault.how} ms`])]
    case 'starve':
      return ['to', `${fault.percent} %`]
    case 'clock-step':
      return [`${fault.seconds < 0 ? '' : '+'}${fault.seconds} s`]
    case 'roll':
      return [fault.how]
    default:
      return []
  }
}

function rankName(rank: Target): string {
  if (rank === 'again') return 'same'
  return rank === 0 ? 'primary' : `standby${rank}`
}
