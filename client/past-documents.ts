/**
 * `GET /v1/recent`: what the asked agent saw of the cluster in the last quarter of an hour, of its own life. With `?after=N` only
 * what came behind number N.
 */
export type RecentDocument = {
  readonly self: string
  /** To ask with next time. */
  readonly next: number
  readonly everyMs: number
  /** Of each sample, milliseconds since 1970. */
  readonly times: readonly number[]
  /** One for each member that is in the answer's time; each list is as long as `times`, with null for what was not known. */
  readonly series: readonly MemberSeries[]
  /** Oldest first. */
  readonly events: readonly ClusterEvent[]
}

export type MemberSeries = {
  readonly name: string
  /** WAL of the primary that is not on its disk yet. */
  readonly lagBytes: readonly (number | null)[]
  readonly walBytesPerSecond: readonly (number | null)[]
  readonly transactionsPerSecond: readonly (number | null)[]
  /** Mean time in statements of a transaction. */
  readonly transactionMs: readonly (number | null)[]
  readonly connections: readonly (number | null)[]
}

/** Something that changed, seen from the asked agent. */
export type ClusterEvent = {
  readonly number: number
  readonly at: string
  readonly severity: 'info' | 'good' | 'warning' | 'critical'
  /** The member that it is about; absent: the cluster. */
  readonly member?: string
  readonly text: string
}

/** `GET /v1/estimate`: what the loss of the primary would cost now, judged on the facts of the asked agent. */
export type EstimateDocument = {
  /** By what right another would take over; `none`: nobody could, and `why` says so. */
  readonly takeover: 'revocation' | 'lease' | 'none'
  readonly why?: string
  /** Without writes when PostgreSQL of the primary dies; absent: no take-over of this cluster was measured yet. */
  readonly crashMs?: number
  /** Without writes when its host vanishes without a word; absent likewise. */
  readonly silenceMs?: number
  /** Until silence is taken for death: part of `silenceMs`, by the configuration. */
  readonly noticeMs: number
  /** Median of so many unplanned take-overs. */
  readonly measured: number
  /** Acknowledged WAL that would be lost with the primary's disk; absent: unknown, nobody else is near. */
  readonly lossBytes?: number
  /** Every acknowledged commit survives the loss of so many disks, the primary's among them. */
  readonly survives: number
  /** Who could be handed to now, best first, and why the others could not. */
  readonly candidates: readonly { readonly name: string; readonly why?: string }[]
}

/** `GET /v1/config`: the configuration that counts on the asked node, secrets as `(set)`. Needs the token. */
export type ConfigDocument = {
  readonly node: string
  readonly settings: readonly {
    readonly key: string
    /** Absent: not set. */
    readonly value?: string
    /** `default`, a place in a file, a variable of the environment. */
    readonly from: string
  }[]
}

/** `GET /v1/log`: the newest lines of the asked agent's log, oldest first. `?after=N` as above. Needs the token. */
export type LogDocument = {
  readonly node: string
  readonly next: number
  /** JSON, as in the log; a line that is longer than 4 kB is cut. */
  readonly lines: readonly string[]
}
