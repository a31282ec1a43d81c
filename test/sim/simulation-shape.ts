import { RandomStream } from './random-stream.ts'

/** What one run is made of. */
export type SimulationShape = {
  readonly voters: readonly string[]
  readonly learners: readonly string[]
  /** Hosts that may become members. */
  readonly spares: readonly string[]
  /** Probabilities for each message. */
  readonly loss: number
  readonly duplicates: number
  /** … for an append of several entries to carry fewer. */
  readonly shortening: number
  /** Mean delay of a message. */
  readonly delayMs: number
  /** Mean time between two faults. */
  readonly faultMs: number
  /** How often a new leader dies soon: what it began stays half done. */
  readonly regicide: number
  /** Mean duration of an fsync, for each host. */
  readonly syncMs: readonly number[]
  /** Mean time between two deeds of the operator who changes members; absent: nobody does. */
  readonly operatorMs?: number
  /** How often the operator's deed is a disk that is replaced. */
  readonly wipes: number
  /** Members begin with the release before, and are upgraded one after another. */
  readonly isUpgrade: boolean
  /** Length of the pieces of a snapshot. */
  readonly chunkLength: number
  /** How often the log is compacted, among all faults. */
  readonly compactions: number
}

/**
 * `regicide`: leaders that die with entries that only some have, the soil on which older terms' entries are lost.
 * `membership`: members come and go all the time. `wipes`: disks are replaced all the time. `snapshots`: the log is short.
 */
export type SimulationProfile = 'any' | 'regicide' | 'membership' | 'wipes' | 'snapshots'

/** Each run has other faults and other intensities: a run with all of them at once hides what only one of them shows. */
export function drawShape(seed: number, profile: SimulationProfile): SimulationShape {
  const chance = new RandomStream(seed, 'shape')
  switch (profile) {
    case 'any':
      return drawAny(chance)
    case 'regicide':
      return drawRegicide(chance)
    case 'membership':
      return { ...drawRegicide(chance), ...membership(chance, 250), regicide: chance.pick([0.2, 0.7]) }
    case 'wipes':
      return { ...drawRegicide(chance), ...membership(chance, 150), wipes: 0.6, faultMs: 250 }
    case 'snapshots':
      return { ...drawRegicide(chance), compactions: 12, chunkLength: 16, faultMs: 60, delayMs: 20 }
  }
}

function membership(
  chance: RandomStream,
  operatorMs: number,
): Pick<SimulationShape, 'operatorMs' | 'spares' | 'wipes'> {
  return { operatorMs, spares: ['v', 'w'], wipes: chance.pick([0, 0.2]) }
}

function drawAny(chance: RandomStream): SimulationShape {
  if (chance.chance(0.2)) return drawRegicide(chance)
  const names = ['a', 'b', 'c', 'd', 'e'].slice(0, chance.pick([3, 3, 3, 5, 1, 2, 4]))
  const learners = names.length === 4 ? ['d'] : []
  const shape = {
    voters: names.filter((name) => !learners.includes(name)),
    learners,
    spares: [],
    loss: chance.chance(0.3) ? 0 : chance.between(0, 0.25),
    duplicates: chance.chance(0.5) ? 0 : chance.between(0, 0.3),
    shortening: chance.pick([0, 0.5]),
    delayMs: chance.pick([1, 5, 30, 80]),
    faultMs: chance.pick([60, 200, 600]),
    regicide: chance.pick([0, 0.3]),
    syncMs: [...names, 'v', 'w'].map(() => chance.pick([0.3, 2, 20, 200])),
    wipes: 0,
    isUpgrade: chance.chance(0.2),
    chunkLength: chance.pick([16, 100, 1000]),
    compactions: chance.pick([1, 1, 4]),
  }
  return chance.chance(0.5) ? { ...shape, ...membership(chance, chance.pick([200, 800])) } : shape
}

function drawRegicide(chance: RandomStream): SimulationShape {
  const voters = ['a', 'b', 'c']
  return {
    voters,
    learners: [],
    spares: [],
    loss: chance.pick([0, 0.1]),
    duplicates: 0,
    shortening: 0.9,
    delayMs: chance.pick([5, 20]),
    faultMs: 400,
    regicide: 0.9,
    syncMs: [...voters, 'v', 'w'].map(() => chance.pick([0.3, 2])),
    wipes: 0,
    isUpgrade: false,
    chunkLength: 100,
    compactions: 1,
  }
}
