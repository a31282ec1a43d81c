/** Where a PostgreSQL is reached; `host` may be the folder of a Unix socket. */
export type ServerAddress = {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
}

/** What of a running PostgreSQL belongs into the configuration of a cluster that shall be like it. */
export type ServerDescription = {
  readonly dataDir: string
  /** Absent where its programs cannot be seen from here. */
  readonly binDir?: string
  readonly listenAddresses: string
  readonly port: number
  readonly clusterName: string
  readonly encoding: string
  readonly walSegmentBytes: number
  /** What somebody has set and a cluster may set too. */
  readonly parameters: Readonly<Record<string, string>>
  /** What somebody has set and pg-metako decides by itself, each with the reason. */
  readonly left: readonly { readonly name: string; readonly reason: string }[]
  /** Lines that are in force. */
  readonly hba: readonly string[]
}
