import { Violation } from '../../checkers/violation.ts'
import { rowsUpTo, type DataDirectory } from '../../postgres/data-directory.ts'

/** The data volume of one host, as it lies there now. */
export type DataVolume = {
  readonly directory: DataDirectory | undefined
  readonly setAside: readonly DataDirectory[]
  /** Rows whose WAL was kept aside and reported. */
  readonly kept: ReadonlySet<number>
}

type Known = { directory: DataDirectory | undefined; setAside: readonly DataDirectory[] }

/**
 * G6: whatever way a data directory or a copy that was set aside goes, all of its rows are in another directory of the cluster, or
 * their WAL was kept; or an operator took it away by name.
 */
export class NothingIrreplaceableIsDestroyed {
  readonly #known = new Map<string, Known>()

  /** An operator took away what this host has: nobody asks for it any more. */
  forget(host: string): void {
    this.#known.delete(host)
  }

  see(host: string, volume: DataVolume, all: () => readonly DataVolume[]): void {
    const { directory, setAside } = volume
    const known = this.#known.get(host)
    if (known?.directory === directory && known?.setAside.length === setAside.length) return
    this.#known.set(host, { directory, setAside: [...setAside] })
    if (known === undefined) return
    const before = known.directory === undefined ? known.setAside : [known.directory, ...known.setAside]
    for (const gone of before) {
      if (gone !== directory && !setAside.includes(gone))
        checkReplaceable(gone, { host, kept: volume.kept }, all())
    }
  }
}

function checkReplaceable(
  gone: DataDirectory,
  { host, kept }: { host: string; kept: ReadonlySet<number> },
  all: readonly DataVolume[],
): void {
  const rows = [...tokensOf(gone)].filter((token) => !kept.has(token))
  if (rows.length === 0) return
  const copies = all.flatMap(({ directory }) => (directory === undefined ? [] : [tokensOf(directory)]))
  if (copies.some((copy) => rows.every((token) => copy.has(token)))) return
  throw new Violation(
    `a data directory of ${host} was destroyed with ${rows.length} rows, and no other one has all of them`,
    'nothing-irreplaceable-is-destroyed',
  )
}

/** What a start would find: in the tables as of the last checkpoint, and in the WAL after it. */
function tokensOf({ rows, wal, control }: DataDirectory): ReadonlySet<number> {
  const tokens = new Set(rowsUpTo(rows, control.redo).tokens)
  for (const timeline of wal.timelines()) {
    for (const { token } of wal.of(timeline)) if (token >= 0) tokens.add(token)
  }
  return tokens
}
