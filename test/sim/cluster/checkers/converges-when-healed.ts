import type { FinalFacts, MemberGlimpse } from './cluster-facts.ts'

/** G4: why the cluster is not whole yet; undefined once it has one primary and everybody streams from it. */
export function whyNotHealed(members: readonly MemberGlimpse[]): string | undefined {
  const primaries = members.filter(
    ({ instance }) => instance.state === 'running' && instance.role === 'primary',
  )
  const [primary] = primaries
  if (primary === undefined) return 'nobody is primary'
  if (primaries.length > 1) return `${primaries.map(({ name }) => name).join(' and ')} are primary`
  for (const { name, record, instance } of members) {
    if (record === undefined) return `${name} knows no record`
    if (record.state !== 'open') return `${name} sees epoch ${record.epoch} ${record.state}`
    if (record.holder !== primary.name)
      return `${name} takes ${record.holder} for the holder, not ${primary.name}`
    if (name === primary.name) continue
    if (instance.state !== 'running') return `PostgreSQL of ${name} is ${instance.state}`
    if (instance.role !== 'standby' || instance.streaming !== true) return `${name} does not stream`
    if (instance.timeline !== record.timeline) {
      return `${name} is on timeline ${instance.timeline}, not ${record.timeline}`
    }
  }
  return undefined
}

/** Members that stream from one primary have what it has: two branches under one timeline id would show here. */
export function whyNotEqual({ rows, members }: Pick<FinalFacts, 'rows' | 'members'>): string | undefined {
  const primary = members.find(({ instance }) => instance.role === 'primary')
  const wanted = primary === undefined ? undefined : rows.get(primary.name)
  if (primary === undefined || wanted === undefined) return 'no primary answers'
  const have = new Set(wanted)
  for (const [name, own] of rows) {
    if (own === undefined) return `${name} does not answer`
    if (own.length !== wanted.length || own.some((token) => !have.has(token))) {
      return `${name} has ${own.length} rows, ${primary.name} has ${wanted.length}`
    }
  }
  return undefined
}
