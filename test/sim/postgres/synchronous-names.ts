/** `synchronous_standby_names`, read: who must have a commit before it is acknowledged. */
export type SynchronousNames = {
  readonly method: 'first' | 'any'
  readonly count: number
  /** Lower case; `*` matches everybody. */
  readonly names: readonly string[]
}

/** `undefined` for the empty value: nobody is waited for. Throws on what PostgreSQL would refuse. */
export function parseSynchronousNames(text: string): SynchronousNames | undefined {
  const trimmed = text.trim()
  if (trimmed === '') return undefined
  const match = /^(?:(FIRST|ANY)\s+)?(\d+)\s*\((.*)\)$/is.exec(trimmed)
  const names = splitNames(match ? (match[3] as string) : trimmed)
  const count = match ? Number(match[2]) : 1
  if (names.length === 0 || count < 1) throw new Error(`synchronous_standby_names "${text}" is not valid`)
  return { method: match?.[1]?.toLowerCase() === 'any' ? 'any' : 'first', count, names }
}

/** 0: not in the list; else its place, from 1. */
export function priorityOf(wanted: SynchronousNames | undefined, applicationName: string): number {
  if (wanted === undefined) return 0
  const name = applicationName.toLowerCase()
  const place = wanted.names.findIndex((one) => one === '*' || one === name)
  if (place < 0) return 0
  return wanted.method === 'any' ? 1 : place + 1
}

function splitNames(list: string): readonly string[] {
  const names: string[] = []
  for (const match of list.matchAll(/"((?:[^"]|"")*)"|([^\s,"]+)/g)) {
    names.push((match[1] === undefined ? (match[2] as string) : match[1].replaceAll('""', '"')).toLowerCase())
  }
  return names
}
