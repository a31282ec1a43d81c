/**
 * Why a call brought no result. `unreachable`: no answer at all, so that another member may be asked (a change may
 * still have happened). `refused`: the agent said no (4xx) and nothing was changed. `failed`: the agent tried or could
 * not try (5xx), or what came back is no answer of a pg-metako agent.
 */
export type ClientErrorKind = 'unreachable' | 'refused' | 'failed'

/** Decide on `kind` and `code`, never on the message. Holds no token. */
export class ClientError extends Error {
  override readonly name = 'ClientError'
  readonly kind: ClientErrorKind
  /** The agent's code, or one of ours: `UNREACHABLE`, `TIMEOUT`, `ANSWER_NOT_UNDERSTOOD`, `ANSWER_TOO_LARGE`. */
  readonly code: string
  /** HTTP status; absent when there was no answer. */
  readonly status: number | undefined
  /** What to do, where the agent says so. */
  readonly remedy: string | undefined

  constructor(
    kind: ClientErrorKind,
    message: string,
    about: { code: string; status?: number | undefined; remedy?: string | undefined; cause?: unknown },
  ) {
    super(message, about.cause === undefined ? undefined : { cause: about.cause })
    this.kind = kind
    this.code = about.code
    this.status = about.status
    this.remedy = about.remedy
  }
}
