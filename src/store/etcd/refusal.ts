/**
 * What an answer that is no success says about the request. The words are those of etcd's `rpctypes/error.go` and
 * `auth/store.go`; the question is always the same: is it certain that nothing was done?
 */
export type Refusal = {
  readonly kind: /** Certainly not done; another member, or this one later, may do it. */
    | 'elsewhere'
    /** Certainly not done: the token is unknown or older than the last change of users. */
    | 'token'
    /** Certainly not done, and never will be: user, password or permission. */
    | 'denied'
    /** Certainly not done, and never will be: too large. */
    | 'too-large'
    /** It may be done. */
    | 'unknown'
  readonly message: string
}

const KINDS: readonly (readonly [RegExp, Refusal['kind']])[] = [
  // Judged before the request is looked at, since we ask for it with the header `hasleader`.
  [/^etcdserver: no leader$/, 'elsewhere'],
  // Judged before the proposal.
  [/^etcdserver: too many requests$/, 'elsewhere'],
  [/^etcdserver: (invalid auth token|revision of auth store is old)$/, 'token'],
  // Without a token where one is needed.
  [/^etcdserver: user name is empty$/, 'token'],
  [/^etcdserver: (permission denied|authentication failed, invalid user ID or password)$/, 'denied'],
  [/^etcdserver: user name not found$/, 'denied'],
  [/^etcdserver: (request is too large|too many operations in txn request)$/, 'too-large'],
]

/**
 * Not in the table, though it looks as if it should be: "database space exceeded". The member that finds the quota exceeded
 * first has applied the transaction (`quotaApplierV3`) when it says so.
 */
export function refusalOf(status: number, body: string): Refusal {
  const message = messageIn(body)
  if (message === undefined) {
    // A path that nobody serves was not served: an etcd before 3.4, or no etcd at all.
    const kind = status === 404 ? 'elsewhere' : 'unknown'
    return {
      kind,
      message: `HTTP ${status}${status === 404 ? ', no /v3 API: etcd 3.4 or later is wanted' : ''}`,
    }
  }
  const kind = KINDS.find(([pattern]) => pattern.test(message))?.[1] ?? 'unknown'
  return { kind, message }
}

function messageIn(body: string): string | undefined {
  try {
    const answer = JSON.parse(body) as { readonly message?: unknown; readonly error?: unknown } | null
    const message = answer?.message ?? answer?.error
    return typeof message === 'string' ? message : undefined
  } catch {
    return undefined
  }
}
