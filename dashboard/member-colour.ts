import type { ClusterView } from '#client'

const COLOURS_MAX = 8

/** A class for each member, the same on its card and on its lines. */
export function colourOf(name: string, { members }: ClusterView): string {
  const index = members.findIndex(({ facts }) => facts.name === name)
  return `colour-${index < 0 ? COLOURS_MAX : (index % COLOURS_MAX) + 1}`
}
