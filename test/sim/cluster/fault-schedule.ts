import { RandomStream } from '../random-stream.ts'
import { drawGrayFault, drawGrayFaults, type GrayFault } from './gray-faults.ts'
import {
  drawPlanned,
  drawPlannedWork,
  PLANNED_KINDS,
  type PlannedKind,
  type PlannedWork,
} from './planned-work.ts'
import { drawRareFault, drawRareFaults, RARE_KINDS, type RareFault, type RareKind } from './rare-faults.ts'

/** What happens to a cluster from outside, as data: a schedule can be printed, cut down and run again. Times in true milliseconds. */
export type SimFault =
  | {
      readonly kind: 'kill'
      readonly host: string
      readonly process: 'agent' | 'guard' | 'router' | 'postmaster'
    }
  /** All processes of a node at once; its supervisor starts the agent again. */
  | { readonly kind: 'kill-node'; readonly host: string }
  | { readonly kind: 'power'; readonly host: string; readonly ms: number }
  | {
      readonly kind: 'pause'
      readonly host: string
      readonly process: 'agent' | 'guard' | 'router' | 'postgres' | 'all'
      readonly ms: number
    }
  /** The monotonic clock stands still, the boot clock goes on. */
  | { readonly kind: 'suspend'; readonly host: string; readonly ms: number }
  /** Directions `from>to` that go silent together. */
  | { readonly kind: 'partition'; readonly links: readonly string[]; readonly ms: number }
  | { readonly kind: 'network'; readonly delayMs: number; readonly loss: number; readonly ms: number }
  | { readonly kind: 'clock-step'; readonly host: string; readonly byMs: number }
  | { readonly kind: 'lag'; readonly host: string; readonly ms: number }
  /** Agent and guard of a node stand still while PostgreSQL and router go on: nobody on the host can fence. */
  | { readonly kind: 'hang'; readonly host: string; readonly ms: number }
  // What an operator does.
  | { readonly kind: 'switchover'; readonly via: string; readonly to?: string }
  | { readonly kind: 'restart-agent'; readonly host: string }
  | { readonly kind: 'stop-node'; readonly host: string; readonly ms: number }
  | RareFault
  | GrayFault
  | PlannedWork

export type ScheduledFault = { readonly at: number; readonly fault: SimFault }

export type FaultKind = SimFault['kind']

const KINDS: readonly Exclude<FaultKind, RareKind | PlannedKind | 'gray'>[] = [
  'kill',
  'kill-node',
  'power',
  'pause',
  'suspend',
  'hang',
  'partition',
  'network',
  'clock-step',
  'lag',
  'switchover',
  'restart-agent',
  'stop-node',
]

/** A cluster that is not born yet has no disk that could be replaced. */
const RARE_FROM_MS = 12_000

/** `calm`: nothing happens. `any`: each run has some of the kinds, at a pace of its own. Else the kinds, with commas between. */
export type FaultProfile = string

/**
 * `storms`: a few short bursts with long calm between, as a cluster has them: faults that overlap, that strike who is being healed from
 * the one before, and then nothing, in which the cluster must become whole. `steady`: one fault after the other all the time.
 */
export type Weather = 'storms' | 'steady'

export type FaultDraw = {
  readonly seed: number
  readonly hosts: readonly string[]
  readonly untilMs: number
  readonly profile: FaultProfile
  /** `storms` unless a pace was asked for, which only steady weather has. */
  readonly weather?: Weather | undefined
  /** No fault before this; by default one run in four has faults while the cluster is born. */
  readonly fromMs?: number | undefined
  /** Mean time between two of them in steady weather; by default drawn. */
  readonly paceMs?: number | undefined
}

/** The cluster has to be born first; a fault of the birth is one run in four. */
const BIRTH = { share: 0.25, ms: 8000 }

/** Calm before the first storm and from one to the next: most runs of five minutes have one, some two. */
const CALM_MS = 900_000
/** Of a storm: how many faults follow its first one, and how fast. */
const STORM_FAULTS = 3
const STORM_PACES_MS = [20, 300, 1500]
const STORM_FAULTS_MAX = 20
/** How long after its last fault a storm has passed, and all that it broke can heal: each fault on its own, but nearly at once. */
const PASSES_MS = [300, 1500, 3000]
const PASSES_APART_MS = 150

/** Same seed, same schedule. Each run enables a few kinds: all of them at once hide what only one of them shows. */
export function drawFaults(draw: FaultDraw): readonly ScheduledFault[] {
  const { profile, weather = draw.paceMs === undefined ? 'storms' : 'steady' } = draw
  if (profile === 'calm') return []
  const chance = new RandomStream(draw.seed, 'faults')
  const enabled = profile === 'any' ? drawKinds(chance) : kindsOf(profile)
  const one = (at: number): ScheduledFault => ({
    at: Math.round(at),
    fault: drawFault(chance, chance.pick(enabled), draw.hosts),
  })
  const faults = weather === 'steady' ? drawSteadily(draw, chance, one) : drawStorms(draw, chance, one)
  return faults.sort((left, right) => left.at - right.at)
}

function drawSteadily(
  draw: FaultDraw,
  chance: RandomStream,
  one: (at: number) => ScheduledFault,
): ScheduledFault[] {
  const { seed, hosts, untilMs } = draw
  const drawnPaceMs = chance.pick([3000, 12_000, 40_000])
  const paceMs = draw.paceMs ?? drawnPaceMs
  const faults: ScheduledFault[] = []
  const drawnFromMs = chance.chance(BIRTH.share) ? 0 : BIRTH.ms
  let at = draw.fromMs ?? drawnFromMs
  for (;;) {
    at += chance.exponential(paceMs)
    if (at >= untilMs) break
    faults.push(one(at))
    // Trouble seldom comes alone.
    if (chance.chance(0.35)) {
      const near = at + chance.exponential(chance.pick([5, 100, 1500]))
      if (near < untilMs) faults.push(one(near))
    }
  }
  const moment = (rare: RandomStream): number => rare.between(RARE_FROM_MS, untilMs)
  return draw.profile === 'any' ? [...faults, ...drawSeldom({ seed, hosts, moment })] : faults
}

function drawStorms(
  draw: FaultDraw,
  chance: RandomStream,
  one: (at: number) => ScheduledFault,
): ScheduledFault[] {
  const { seed, hosts, untilMs } = draw
  const storms: (readonly [number, number])[] = []
  const faults: ScheduledFault[] = []
  const isAtBirth = chance.chance(BIRTH.share)
  const from = draw.fromMs ?? (isAtBirth ? 0 : BIRTH.ms)
  // No run is without one, however short it is.
  let at = from + chance.between(0, isAtBirth ? BIRTH.ms : Math.max(0, untilMs - from) / 2)
  while (at < untilMs) {
    const begun = at
    const paceMs = chance.pick(STORM_PACES_MS)
    const more = Math.min(STORM_FAULTS_MAX, Math.round(chance.exponential(STORM_FAULTS)))
    const storm = [one(at)]
    for (let count = 0; count < more; count += 1) {
      at += chance.exponential(paceMs)
      if (at < untilMs) storm.push(one(at))
    }
    const passedAt = at + chance.exponential(chance.pick(PASSES_MS))
    for (const { at: from, fault } of storm) {
      const leftMs = Math.round(passedAt - from + chance.exponential(PASSES_APART_MS)) + 1
      faults.push({ at: from, fault: 'ms' in fault ? { ...fault, ms: Math.min(fault.ms, leftMs) } : fault })
    }
    storms.push([begun, at])
    at += chance.exponential(CALM_MS)
  }
  const moment = (rare: RandomStream): number => {
    const [begin, end] = rare.pick(storms)
    return Math.max(RARE_FROM_MS, rare.between(begin, end + BIRTH.ms))
  }
  return draw.profile === 'any' ? [...faults, ...drawSeldom({ seed, hosts, moment })] : faults
}

function drawSeldom(draw: Parameters<typeof drawRareFaults>[0]): readonly ScheduledFault[] {
  return [...drawRareFaults(draw), ...drawGrayFaults(draw), ...drawPlannedWork(draw)]
}

function kindsOf(profile: FaultProfile): readonly FaultKind[] {
  return profile.split(',').map((word) => {
    const all: readonly FaultKind[] = [...KINDS, ...RARE_KINDS, ...PLANNED_KINDS, 'gray']
    const kind = all.find((one) => one === word)
    if (kind === undefined) throw new Error(`There is no fault "${word}": calm, any, or ${all.join(', ')}`)
    return kind
  })
}

function drawKinds(chance: RandomStream): readonly FaultKind[] {
  const kinds = KINDS.filter(() => chance.chance(0.4))
  return kinds.length > 0 ? kinds : [chance.pick(KINDS)]
}

function drawFault(chance: RandomStream, kind: FaultKind, hosts: readonly string[]): SimFault {
  if (isRare(kind)) return drawRareFault(chance, kind, hosts)
  if (kind === 'gray') return drawGrayFault(chance, hosts)
  if (isPlanned(kind)) return drawPlanned(chance, kind, hosts)
  const host = chance.pick(hosts)
  switch (kind) {
    case 'kill':
      return { kind, host, process: chance.pick(['agent', 'guard', 'router', 'postmaster', 'postmaster']) }
    case 'kill-node':
    case 'restart-agent':
      return { kind, host }
    case 'power':
    case 'stop-node':
      return { kind, host, ms: duration(chance, [500, 4000, 20_000]) }
    case 'pause':
      return {
        kind,
        host,
        process: chance.pick(['agent', 'agent', 'guard', 'router', 'postgres', 'all']),
        ms: duration(chance, [150, 1500, 6000]),
      }
    case 'hang':
      return { kind, host, ms: duration(chance, [1000, 6000, 15_000]) }
    case 'suspend':
      return { kind, host, ms: duration(chance, [300, 2500, 10_000]) }
    case 'lag':
      return { kind, host, ms: duration(chance, [1000, 5000]) }
    case 'partition':
      return { kind, links: drawLinks(chance, hosts), ms: duration(chance, [400, 3000, 12_000]) }
    case 'network':
      return {
        kind,
        delayMs: chance.pick([5, 30, 120]),
        loss: chance.pick([0, 0.01, 0.1]),
        ms: duration(chance, [2000, 10_000]),
      }
    case 'clock-step':
      return { kind, host, byMs: chance.pick([-3_600_000, -500, 700, 86_400_000]) }
    case 'switchover':
      return chance.chance(0.5) ? { kind, via: host } : { kind, via: host, to: chance.pick(hosts) }
  }
}

function isRare(kind: FaultKind): kind is RareKind {
  return RARE_KINDS.some((one) => one === kind)
}

function isPlanned(kind: FaultKind): kind is PlannedKind {
  return PLANNED_KINDS.some((one) => one === kind)
}

function duration(chance: RandomStream, means: readonly number[]): number {
  return Math.round(chance.exponential(chance.pick(means))) + 1
}

/** One member alone, two sides, a single direction, or two members that cannot see each other while others see both. */
function drawLinks(chance: RandomStream, hosts: readonly string[]): readonly string[] {
  const pairs = hosts.flatMap((from) => hosts.filter((to) => to !== from).map((to) => ({ from, to })))
  const name = ({ from, to }: { from: string; to: string }): string => `${from}>${to}`
  const victim = chance.pick(hosts)
  switch (chance.pick(['alone', 'alone', 'sides', 'deaf', 'mute', 'pair', 'some'])) {
    case 'alone':
      return pairs.filter(({ from, to }) => from === victim || to === victim).map(name)
    case 'deaf':
      return pairs.filter(({ to }) => to === victim).map(name)
    case 'mute':
      return pairs.filter(({ from }) => from === victim).map(name)
    case 'sides': {
      const side = new Set(hosts.filter(() => chance.chance(0.5)))
      return pairs.filter(({ from, to }) => side.has(from) !== side.has(to)).map(name)
    }
    case 'pair': {
      const other = chance.pick(hosts.filter((one) => one !== victim).concat(hosts.length === 1 ? hosts : []))
      return pairs
        .filter(({ from, to }) => (from === victim && to === other) || (from === other && to === victim))
        .map(name)
    }
    default:
      return pairs.filter(() => chance.chance(0.3)).map(name)
  }
}
