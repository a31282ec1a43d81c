import type { ProfileName } from '../../../src/ha/policy.ts'
import type { MemberTags } from '../../../src/model/member-tags.ts'
import { KiB, MiB } from '../../../src/std/units.ts'
import { RandomStream } from '../random-stream.ts'
import type { FaultProfile } from './fault-schedule.ts'
import { hasRareFaults } from './rare-faults.ts'
import type { ClockShape } from './sim-host.ts'
import type { NetworkShape } from './sim-network.ts'

/** `everywhere`: as `required` wants it. `some`: every host has one or not. */
export type WatchdogShape = {
  readonly mode: 'off' | 'automatic' | 'required'
  readonly hosts: 'everywhere' | 'some'
}

export type AckShape = 'async' | 'sync' | 'quorum' | 'quorum strict'

/** What one run is made of. */
export type ClusterSimulationShape = {
  readonly members: readonly string[]
  readonly timing: ProfileName
  readonly mode: AckShape
  readonly clocks: readonly ClockShape[]
  readonly network: NetworkShape
  /** `direct`: past all routers, at whichever member takes writes. */
  readonly clients: readonly { readonly thinkMs: number; readonly direct: boolean }[]
  readonly maximumLagBytes: number
  readonly primaryStartTimeoutMs: number
  /** Without a lease, where commits wait for others. */
  readonly storeGraceMs: number
  readonly watchdog: WatchdogShape
  /** Small ones make a clone that lacks what others need. */
  readonly segmentBytes: number
  /** Hosts whose PostgreSQL has a pg_rewind: the others' old primaries come back by a clone. */
  readonly rewinds: readonly string[]
  /** What their operator says of some members; never of the one that creates the cluster. */
  readonly tags: Readonly<Record<string, MemberTags>>
  /** The member that votes and has no database; absent: all have one. */
  readonly witness?: string
}

/** What a run asks for; absent: as the seed draws it, and nobody is a witness. */
export type ShapeWishes = {
  readonly timing?: ProfileName | undefined
  readonly members?: number | undefined
  readonly mode: AckShape | 'any'
  readonly witness?: 'any' | 'always' | undefined
}

/** How far a clock may be from real time, as docs/guarantees.md assumes. */
const DRIFT_MAX = 0.01

const WATCHDOGS: readonly WatchdogShape[] = [
  { mode: 'off', hosts: 'everywhere' },
  { mode: 'automatic', hosts: 'some' },
  { mode: 'required', hosts: 'everywhere' },
]

const MODES: readonly AckShape[] = ['async', 'async', 'quorum', 'quorum', 'quorum strict', 'sync']

export function drawShape(
  seed: number,
  profile: FaultProfile,
  { timing, members: size, mode, witness }: ShapeWishes,
): ClusterSimulationShape {
  const chance = new RandomStream(seed, 'shape')
  const drawnSize = chance.pick([3, 3, 3, 3, 3, 5, 1])
  const members = ['n1', 'n2', 'n3', 'n4', 'n5'].slice(0, witness === 'always' ? 3 : (size ?? drawnSize))
  // A single node has nobody to wait for.
  const drawnMode =
    members.length === 1 ? 'async' : mode === 'any' ? new RandomStream(seed, 'mode').pick(MODES) : mode
  const tags = witness === 'always' ? {} : drawTags(seed, profile, members, drawnMode)
  const isWitnessed = witness === 'always' || (witness === 'any' && drawsWitness(seed, members, tags))
  return {
    members,
    // The only standby of a strict primary cannot be removed, and an operator who mends members has to.
    mode: isWitnessed && drawnMode === 'quorum strict' && hasRareFaults(seed) ? 'quorum' : drawnMode,
    timing: timing ?? chance.pick(['lan', 'lan', 'noisy', 'wan']),
    clocks: members.map(() => ({
      rate: 1 + chance.pick([-DRIFT_MAX, DRIFT_MAX, 0, chance.between(-DRIFT_MAX, DRIFT_MAX)]),
      offset: chance.between(10_000, 1_000_000),
    })),
    network: { delayMs: chance.pick([0.2, 1, 5]), loss: profile === 'calm' ? 0 : chance.pick([0, 0, 0.001]) },
    clients: [
      ...Array.from({ length: chance.pick([1, 2, 3]) }, () => ({
        thinkMs: chance.pick([30, 100, 300, 1000]),
        direct: false,
      })),
      { thinkMs: chance.pick([30, 100, 300, 1000]), direct: true },
    ],
    storeGraceMs: new RandomStream(seed, 'grace').pick([0, 5000, 30_000, 30_000]),
    primaryStartTimeoutMs: chance.pick([0, 0, 0, 5000]),
    watchdog: new RandomStream(seed, 'watchdog').pick(WATCHDOGS),
    segmentBytes: chance.pick([16 * MiB, 16 * MiB, 32 * KiB]),
    maximumLagBytes: chance.pick([MiB, MiB, 64 * KiB]),
    rewinds: drawRewinds(new RandomStream(seed, 'rewind'), members),
    tags,
    ...(isWitnessed ? { witness: 'n3' } : {}),
  }
}

/** One cluster of three in four. Not where members come and go: an operator must not be left with one database and a witness. */
function drawsWitness(seed: number, members: readonly string[], tags: object): boolean {
  const isPlain = members.length === 3 && Object.keys(tags).length === 0 && !hasRareFaults(seed)
  return isPlain && new RandomStream(seed, 'witness').chance(0.25)
}

/**
 * One cluster in four. `nofailover`, and `nosync` in strict mode, only where no operator takes members away: with all the others gone
 * nobody could take over, or have a commit, as it was asked for.
 */
function drawTags(
  seed: number,
  profile: FaultProfile,
  members: readonly string[],
  mode: AckShape,
): ClusterSimulationShape['tags'] {
  const chance = new RandomStream(seed, 'tags')
  if (members.length < 3 || !chance.chance(0.25)) return {}
  const isSafe = profile === 'any' && !hasRareFaults(seed)
  const tags = chance.pick<MemberTags>([
    ...(isSafe || mode !== 'quorum strict' ? [{ nosync: true } as const] : []),
    { noloadbalance: true },
    { failover_priority: 5 },
    ...(isSafe ? [{ nofailover: true } as const, { nofailover: true } as const] : []),
  ])
  return { [chance.pick(members.slice(1))]: tags }
}

/** All hosts of a cluster are usually alike; a rolling upgrade of packages is when they are not. */
function drawRewinds(chance: RandomStream, members: readonly string[]): readonly string[] {
  return chance.pick([members, members, [], members.slice(0, 1)])
}
