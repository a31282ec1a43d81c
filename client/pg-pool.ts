/*
 * What is needed of the package `pg`, which the application brings along: this package depends on nothing.
 */

export type PgResult<Row> = { readonly rows: Row[]; readonly rowCount: number | null }

export interface PgClient {
  query(text: string, values?: unknown[]): Promise<PgResult<Record<string, unknown>>>
  /** With an error the connection is ended instead of being used again. */
  release(error?: Error): void
  on(event: 'error', listener: (error: Error) => void): unknown
}

export interface PgPool {
  connect(): Promise<PgClient>
  end(): Promise<void>
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'connect', listener: (client: PgClient) => void): unknown
  readonly totalCount: number
  readonly idleCount: number
  readonly waitingCount: number
}

/** `Pool` of `pg`. */
export type PgPoolClass = new (config: Record<string, unknown>) => PgPool
