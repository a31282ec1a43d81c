/** Body of `POST /v1/switchover` (and of Patroni's `POST /switchover`, which calls the fields the same). */
export type SwitchoverRequest = {
  /** The member that must be the primary now; a switchover that someone else has just made is then refused. */
  readonly leader?: string
  /** Who takes over; absent: the best standby. */
  readonly candidate?: string
}

/** Answer of `POST /v1/switchover`. A switchover that did not happen is a problem, not this. */
export type SwitchoverResult = {
  readonly from: string
  readonly to: string
  readonly epoch: number
  /** From the request until the new primary took writes. */
  readonly tookMs: number
}

/** Answer of `POST /v1/reload`. */
export type ReloadResult = {
  /** Keys whose new value is in force. */
  readonly changed: readonly string[]
  /** Keys whose new value waits for another router: `pg-metako router restart`. */
  readonly needsRouterRestart: readonly string[]
  /** Keys whose new value waits for a restart of the agent or of PostgreSQL. */
  readonly needsRestart: readonly string[]
}

/** Answer of `POST /v1/members/:name/restart`: its PostgreSQL runs again. */
export type RestartResult = { readonly name: string; readonly tookMs: number }

/** `GET /config`, and what `PATCH /config` takes and answers: settings of the whole cluster, in Patroni's words. */
export type DynamicConfigDocument = { readonly [setting: string]: unknown }

/** Answer of `POST /v1/router/restart`: another process has the ports of this node's router. */
export type RouterRestartResult = {
  readonly node: string
  /** Its pid, and that of the one that ends behind its clients. */
  readonly router: number
  readonly retiring: number
  /** How long those may stay. */
  readonly drainTimeoutMs: number
}

/** Every error of the API: RFC 9457, media type `application/problem+json`, with a stable code and what to do. */
export type Problem = {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: string
  readonly detail: string
  readonly remedy?: string
}

export const PROBLEM_MEDIA_TYPE = 'application/problem+json'
