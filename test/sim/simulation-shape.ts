import { RandomStream } from './random-stream.ts'

/** What one run is made of. */
export type SimulationShape = {
  readonly voters: readonly string[]
  readonly learners: readonly string[]
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
  /** Mean duration of an fsync, for each member. */
  readonly syncMs: readonly number[]
}

/** `regicide`: leaders that die with entries that only some have, the soil on which older terms' entries are lost. */
export type SimulationProfile = 'any' | 'regicide'

/** Each run has other faults and other intensities: a run with all of them at once hides what only one of them shows. */
export function drawShape(seed: number, profile: SimulationProfile): SimulationShape {
  const chance = new RandomStream(seed, 'shape')
  if (profile === 'regicide' || chance.chance(0.2)) return drawRegicide(chance)
  const names = ['a', 'b', 'c', 'd', 'e'].slice(0, chance.pick([3, 3, 3, 5, 1, 2, 4]))
  const learners = names.length === 4 ? ['d'] : []
  return {
    voters: names.filter((name) => !learners.includes(name)),
    learners,
    loss: chance.chance(0.3) ? 0 : chance.between(0, 0.25),
    duplicates: chance.chance(0.5) ? 0 : chance.between(0, 0.3),
    shortening: chance.pick([0, 0.5]),
    delayMs: chance.pick([1, 5, 30, 80]),
    faultMs: chance.pick([60, 200, 600]),
    regicide: chance.pick([0, 0.3]),
    syncMs: names.map(() => chance.pick([0.3, 2, 20, 200])),
  }
}

function drawRegicide(chance: RandomStream): SimulationShape {
  const voters = ['a', 'b', 'c']
  return {
    voters,
    learners: [],
    loss: chance.pick([0, 0.1]),
    duplicates: 0,
    shortening: 0.9,
    delayMs: chance.pick([5, 20]),
    faultMs: 400,
    regicide: 0.9,
    syncMs: voters.map(() => chance.pick([0.3, 2])),
  }
}
