import type { ClusterView, MemberView, StreamView } from '#client'

/** A member's place: the row of its depth below the primary, and how far from the left, as a share of the width. */
export type Place = { readonly member: MemberView; readonly x: number }
export type Edge = {
  readonly stream: StreamView
  /** Row of the sender; the receiver is in the next one. */
  readonly row: number
  readonly fromX: number
  readonly toX: number
}
export type Topology = { readonly rows: readonly (readonly Place[])[]; readonly edges: readonly Edge[] }

/** Who has the right to be primary, as the asked agent knows; nobody between two epochs. */
export function holderOf({ record }: ClusterView): string | undefined {
  return record?.state === 'open' ? record.holder : undefined
}

/** The primary on top, below it who streams from it, and so on; who streams from nobody stands with the standbys. */
export function topologyOf(view: ClusterView): Topology {
  const depths = depthsOf(view)
  const deepest = Math.max(0, ...depths.values())
  const rows = Array.from({ length: deepest + 1 }, (_, depth) =>
    placed(view.members.filter(({ facts }) => depths.get(facts.name) === depth)),
  ).filter((row) => row.length > 0)
  const placeOf = (name: string) => {
    const row = rows.findIndex((one) => one.some(({ member }) => member.facts.name === name))
    const x = rows[row]?.find(({ member }) => member.facts.name === name)?.x
    return x === undefined ? undefined : { row, x }
  }
  const edges = view.streams.flatMap((stream): Edge[] => {
    const from = placeOf(stream.from)
    const to = placeOf(stream.to)
    if (!from || !to || to.row !== from.row + 1) return []
    return [{ stream, row: from.row, fromX: from.x, toX: to.x }]
  })
  return { rows, edges }
}

function placed(members: readonly MemberView[]): readonly Place[] {
  return members.map((member, index) => ({ member, x: (index + 0.5) / members.length }))
}

function depthsOf(view: ClusterView): ReadonlyMap<string, number> {
  const top = holderOf(view)
  const depths = new Map<string, number>()
  if (top !== undefined) depths.set(top, 0)
  for (let depth = 0; depth < view.members.length; depth += 1) {
    for (const { from, to } of view.streams) {
      if (depths.get(from) === depth && !depths.has(to)) depths.set(to, depth + 1)
    }
  }
  for (const { facts } of view.members) {
    if (!depths.has(facts.name)) depths.set(facts.name, top === undefined ? 0 : 1)
  }
  return depths
}
