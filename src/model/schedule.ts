/** Orders for later (docs/adr/0041). Times are ISO 8601 with a zone. */
export type ScheduledSwitchover = {
  readonly at: string
  /** The primary that it was meant for. */
  readonly from: string
  /** Absent: the best standby then. */
  readonly to?: string
}

export type ScheduledRestart = {
  readonly at: string
  /** The life of the PostgreSQL that it was meant for. */
  readonly life?: string
  readonly role?: 'primary' | 'standby'
  readonly onlyPending?: boolean
  readonly version?: number
}

export type Schedule = {
  readonly switchover?: ScheduledSwitchover
  readonly restarts: Readonly<Record<string, ScheduledRestart>>
}
