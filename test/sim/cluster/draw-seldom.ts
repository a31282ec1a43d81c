import { RandomStream } from '../random-stream.ts'

export type SeldomDraw = {
  readonly seed: number
  readonly hosts: readonly string[]
  readonly moment: (chance: RandomStream) => number
}

/** How many runs of the profile `any` have some (`share`), and how many of them at the most (`few`). */
export type SeldomKind = { readonly stream: string; readonly share: number; readonly few: number }

/** From a stream of their own: the other faults of a seed are what they were. */
export function drawSeldomly<Fault>(
  { seed, moment }: SeldomDraw,
  { stream, share, few }: SeldomKind,
  one: (chance: RandomStream) => Fault,
): readonly { readonly at: number; readonly fault: Fault }[] {
  const chance = new RandomStream(seed, stream)
  if (!chance.chance(share)) return []
  return Array.from({ length: 1 + chance.below(few) }, () => ({
    at: Math.round(moment(chance)),
    fault: one(chance),
  }))
}
