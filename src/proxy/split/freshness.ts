import type { Lsn } from '../../model/lsn.ts'

/** Where the primary was, and when it was asked: everything that had ended before lies below it. */
export type Position = { readonly askedAt: number; readonly lsn: Lsn }

const PAGE_BYTES = 8192n
/** Of a page of WAL, and of the first one of a file. */
const HEADERS: ReadonlySet<bigint> = new Set([24n, 40n])

/**
 * Up to when each replica has everything that the primary had committed. A session's commit is known by the time at which it
 * ended; whoever asks the primary for its position later gets one that includes it, and a replica that has replayed as far as
 * that has it as well. So one question serves all sessions, and none has to be asked for its own position.
 */
export class Freshness {
  readonly #asOf = new Map<string, number>()
  #position: Position | undefined
  #epoch = 0

  /** The newest that is known. */
  get position(): Position | undefined {
    return this.#position
  }

  /** Whether a session that committed last at this time finds its own rows there. */
  has(replica: string, committedAt: number | undefined): boolean {
    if (committedAt === undefined) return true
    // Order: what ended in the moment in which was asked may not be in the answer.
    return (this.#asOf.get(replica) ?? Number.NEGATIVE_INFINITY) > committedAt
  }

  primaryIs(position: Position): void {
    this.#position = position
  }

  replayed(replica: string, lsn: Lsn, { askedAt, lsn: wanted }: Position): void {
    // Of another epoch than the one that is known by now.
    if (this.#position === undefined || lsn < endOfRecord(wanted)) return
    this.#asOf.set(replica, Math.max(askedAt, this.#asOf.get(replica) ?? askedAt))
  }

  /** Positions of one history say nothing about another. */
  epochIs(epoch: number): void {
    if (epoch === this.#epoch) return
    this.#epoch = epoch
    this.#asOf.clear()
    this.#position = undefined
  }
}

/**
 * The primary names the place of its next record, which is behind the header where a page begins; a standby names the end of
 * its last one, which is before. No record is so short that it could lie between.
 */
function endOfRecord(lsn: Lsn): Lsn {
  const offset = lsn % PAGE_BYTES
  return HEADERS.has(offset) ? ((lsn - offset) as Lsn) : lsn
}
