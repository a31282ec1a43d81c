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
  // What an operator does.
  | { readonly kind: 'restart-agent' }
  | { readonly kind: 'switchover' }

/** Who the primary is when the fault is made is 0; the others follow by name. */
export type Rank = number
type KilledProcess = 'agent' | 'guard' | 'router' | 'postmaster' | 'walsender' | 'walreceiver'
/** What the host sends, what it is sent, or both. */
type CutWay = 'both' | 'in' | 'out'
/** `fence`: agent and guard stand still, and nobody on the host can fence. */
export type FrozenPart = 'agent' | 'guard' | 'router' | 'postgres' | 'fence' | 'all'

export type ScheduledFault = { readonly atMs: number; readonly target: Rank; readonly fault: ChaosFault }
export type ChaosSchedule = { readonly seed: number; readonly faults: readonly ScheduledFault[] }

/** `split`: a cut between the primary and all members, while clients still reach it. */
type DrawnKind = ChaosFault['kind'] | 'split'
const KINDS: readonly DrawnKind[] = [
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
  'full-disk',
  'restart-agent',
  'switchover',
]
/** What takes a primary away. */
const ENDINGS: readonly DrawnKind[] = ['crash', 'kill-node', 'kill', 'split']
const FAULTS_MIN = 3
const FAULTS_MAX = 6
/** All within this, so that a schedule with its healing fits into 45 s. */
const LAST_BEGIN_MS = 14_000
const LAST_END_MS = 20_000

/** Same seed, same schedule. Each enables some of the kinds only: all of them at once hide what one alone would show. */
export function drawSchedule(options: { readonly seed: number; readonly nodes: number }): ChaosSchedule {
  const chance = new RandomStream(options.seed, 'chaos')
  const enabled = KINDS.filter(() => chance.chance(0.5))
  const kinds = enabled.length > 0 ? enabled : [chance.pick(KINDS)]
  const count = chance.below(FAULTS_MAX + 1, FAULTS_MIN)
  const faults: ScheduledFault[] = []
  let isLagging = false
  let atMs = chance.between(300, 1500)
  for (let number = 0; number < count; number += 1) {
    const drawn: DrawnKind = chance.pick(isLagging ? ENDINGS : kinds)
    // A disk may be taken away only while all stream: before every other fault.
    const kind: DrawnKind = drawn === 'wipe' && number > 0 ? 'kill' : drawn
    const target = isLagging ? 0 : drawTarget(chance, kind, options.nodes)
    const fault = drawFault(chance, kind, { target, nodes: options.nodes })
    faults.push({ atMs: Math.round(atMs), target, fault: endingInTime(fault, atMs) })
    isLagging = kind === 'lag'
    atMs += drawGap(chance, kind)
    if (atMs > LAST_BEGIN_MS) break
  }
  return { seed: options.seed, faults }
}

/** Trouble seldom comes alone, and what takes a while is met while it lasts: a copy of the data, a switchover. */
function drawGap(chance: RandomStream, kind: DrawnKind): number {
  if (kind === 'lag') return chance.between(300, 1500)
  if (kind === 'wipe') return chance.between(0, 2500)
  if (kind === 'switchover' && chance.chance(0.5)) return chance.between(0, 500)
  return chance.chance(0.3) ? chance.between(0, 60) : Math.min(6000, chance.exponential(2500))
}

function drawTarget(chance: RandomStream, kind: DrawnKind, nodes: number): Rank {
  if (kind === 'split' || kind === 'lag') return 0
  const isPrimary = chance.chance(0.5)
  const other = nodes > 1 ? chance.below(nodes, 1) : 0
  return isPrimary && kind !== 'wipe' && kind !== 'switchover' ? 0 : other
}

function drawFault(
  chance: RandomStream,
  kind: DrawnKind,
  at: { readonly target: Rank; readonly nodes: number },
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
      const peer = (at.target + chance.below(at.nodes, 1)) % at.nodes
      const scope = chance.pick(['everybody', 'members', 'peer'])
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
  }
}

/** Only a primary has a walsender of ours, only a standby a walreceiver. */
function killable(target: Rank): readonly KilledProcess[] {
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
    default:
      return []
  }
}

function rankName(rank: Rank): string {
  return rank === 0 ? 'primary' : `standby${rank}`
}
