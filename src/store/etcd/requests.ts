import type { Transaction } from '../../model/key-value.ts'
import { HttpFailure } from '../../platform/http-connections.ts'
import { Fault, messageOf } from '../../std/fault.ts'
import type { ClusterIdentity } from './cluster-identity.ts'
import type { Endpoint, Endpoints } from './endpoints.ts'
import { GatewayRefusal, type Gateway } from './gateway.ts'
import type { KeySpace } from './key-space.ts'
import {
  probeBody,
  rangeBody,
  readRange,
  readTxn,
  txnBody,
  type RangeAnswer,
  type TxnAnswer,
} from './messages.ts'
import { startTimeLimit, wait, type TimeLimit, type Timing } from './time-limit.ts'

/** An endpoint that answered within this time needs no question before a transaction is entrusted to it. */
const HEARD_MS = 1000
/** Between two rounds over all endpoints that brought nothing. */
const ROUND_PAUSE_MS = 25
/** What a single endpoint gets at least, whatever the deadline. */
const ATTEMPT_MIN_MS = 15
/** New tokens for one request: a second one can be late as well, a third is no accident. */
const TOKENS_MAX = 2

/** Nothing was done, since no endpoint took the request; `cause` is what the last one said. */
class NobodyAnswered extends Error {
  override readonly name = 'NobodyAnswered'
}

/** Sent once, and nobody can say what became of it. */
export class OutcomeUnknown extends Error {
  override readonly name = 'OutcomeUnknown'
}

/**
 * Reads and transactions over several endpoints. Reads go on to the next endpoint after a share of the time. A transaction
 * is applied at most once by the simplest means: it is sent once. It goes on to another endpoint only when it is certain that
 * the last one did nothing: no connection came about, or etcd refused before it proposed anything. And it is entrusted to an
 * endpoint only while that one is known to answer (docs/adr/0014).
 */
export class Requests {
  readonly #gateway: Gateway
  readonly #endpoints: Endpoints
  readonly #identity: ClusterIdentity
  readonly #timing: Timing
  readonly #keys: KeySpace
  readonly #attemptMs: number

  constructor(
    deps: {
      gateway: Gateway
      endpoints: Endpoints
      identity: ClusterIdentity
      timing: Timing
      keys: KeySpace
    },
    options: { readonly attemptMs: number },
  ) {
    this.#gateway = deps.gateway
    this.#endpoints = deps.endpoints
    this.#identity = deps.identity
    this.#timing = deps.timing
    this.#keys = deps.keys
    this.#attemptMs = options.attemptMs
  }

  /** All keys with `prefix`. Rejects with `NobodyAnswered` or a fault. */
  async read(prefix: string, limit: TimeLimit): Promise<RangeAnswer> {
    const body = rangeBody(this.#keys.rangeOf(prefix))
    return this.#overRounds(limit, (endpoint, signal) => this.#range(endpoint, body, signal))
  }

  /** Everything that is mirrored, from this very endpoint. */
  async listAt(endpoint: Endpoint, signal: AbortSignal): Promise<RangeAnswer> {
    return this.#range(endpoint, rangeBody(this.#keys.mirrored), signal)
  }

  /** One round over all endpoints, `first` first: does a quorum answer? The newest mirrored entry, and who told it. */
  async probe(
    first: Endpoint | undefined,
    limit: TimeLimit,
  ): Promise<{ readonly answer: RangeAnswer; readonly endpoint: Endpoint }> {
    const order = this.#endpoints.order()
    const sorted = first === undefined ? order : [first, ...order.filter((one) => one !== first)]
    return this.#overOnce(sorted, limit, async (endpoint, signal) => ({
      answer: await this.#probeAt(endpoint, signal),
      endpoint,
    }))
  }

  /** Rejects with `NobodyAnswered` (certainly not applied), `OutcomeUnknown` or a fault. */
  async commit(transaction: Transaction, limit: TimeLimit): Promise<TxnAnswer> {
    const outward = this.#keys.outward(transaction)
    const about = { body: txnBody(outward), transaction: outward }
    return this.#overRounds(limit, async (endpoint, signal) => {
      if (!this.#endpoints.wasHeard(endpoint, HEARD_MS)) await this.#probeAt(endpoint, signal)
      return this.#send(endpoint, about, limit)
    })
  }

  async #probeAt(endpoint: Endpoint, signal: AbortSignal): Promise<RangeAnswer> {
    return this.#range(endpoint, probeBody(this.#keys.mirrored), signal)
  }

  /** A linearizable range. */
  async #range(endpoint: Endpoint, body: string, signal: AbortSignal): Promise<RangeAnswer> {
    const { floor } = this.#identity
    const answer = readRange(await this.#gateway.call(endpoint, { path: '/v3/kv/range', body }, signal))
    this.#identity.check(answer.header, floor)
    this.#endpoints.heard(endpoint)
    return { ...answer, entries: this.#keys.inwardAll(answer.entries) }
  }

  async #send(
    endpoint: Endpoint,
    { body, transaction }: { readonly body: string; readonly transaction: Transaction },
    limit: TimeLimit,
  ): Promise<TxnAnswer> {
    const { floor } = this.#identity
    let text: string
    try {
      text = await this.#gateway.call(endpoint, { path: '/v3/kv/txn', body }, limit.signal)
    } catch (error) {
      if (isHarmless(error)) throw error
      this.#endpoints.failed(endpoint)
      throw new OutcomeUnknown(messageOf(error), { cause: error })
    }
    try {
      const answer = readTxn(text, transaction)
      this.#identity.check(answer.header, floor)
      this.#endpoints.heard(endpoint)
      return { ...answer, held: answer.held.map((one) => this.#keys.inward(one)) }
    } catch (error) {
      if (error instanceof Fault) throw error
      throw new OutcomeUnknown(messageOf(error), { cause: error })
    }
  }

  async #overRounds<T>(limit: TimeLimit, attempt: Attempt<T>): Promise<T> {
    for (;;) {
      try {
        return await this.#overOnce(this.#endpoints.order(), limit, attempt)
      } catch (error) {
        if (!(error instanceof NobodyAnswered) || limit.signal.aborted) throw error
        await wait(Math.min(ROUND_PAUSE_MS, limit.remaining()), this.#timing, limit.signal)
        if (limit.signal.aborted) throw error
      }
    }
  }

  async #overOnce<T>(order: readonly Endpoint[], limit: TimeLimit, attempt: Attempt<T>): Promise<T> {
    let last: unknown
    for (const [index, endpoint] of order.entries()) {
      const share = Math.max(ATTEMPT_MIN_MS, limit.remaining() / (order.length - index + 1))
      try {
        return await this.#withTokens(endpoint, { limit, ms: Math.min(this.#attemptMs, share) }, attempt)
      } catch (error) {
        if (isFinal(error)) throw faultOf(error)
        this.#endpoints.failed(endpoint)
        last = error
      }
      if (limit.signal.aborted) break
    }
    throw new NobodyAnswered(messageOf(last), { cause: last })
  }

  /** A refused token is no fault of the endpoint: the same one is asked again with a new one. */
  async #withTokens<T>(
    endpoint: Endpoint,
    { limit, ms }: { readonly limit: TimeLimit; readonly ms: number },
    attempt: Attempt<T>,
  ): Promise<T> {
    for (let tokens = 0; ; tokens += 1) {
      const part = startTimeLimit(ms, this.#timing, limit.signal)
      try {
        return await attempt(endpoint, part.signal)
      } catch (error) {
        const isToken = error instanceof GatewayRefusal && error.kind === 'token'
        if (!isToken || tokens === TOKENS_MAX) throw error
      } finally {
        part.clear()
      }
    }
  }
}

type Attempt<T> = (endpoint: Endpoint, signal: AbortSignal) => Promise<T>

/** Certainly nothing was done. */
function isHarmless(error: unknown): boolean {
  if (error instanceof HttpFailure) return !error.wasSent
  return error instanceof GatewayRefusal && error.kind !== 'unknown'
}

/** No other endpoint, and no other time, would bring anything else. */
function isFinal(error: unknown): boolean {
  if (error instanceof Fault || error instanceof OutcomeUnknown) return true
  return error instanceof GatewayRefusal && (error.kind === 'denied' || error.kind === 'too-large')
}

function faultOf(error: unknown): Error {
  if (!(error instanceof GatewayRefusal)) return error as Error
  const details = { applied: false }
  return error.kind === 'denied'
    ? new Fault('STORE_ACCESS_DENIED', `Cannot use etcd: ${error.message}`, { details, cause: error })
    : new Fault('STORE_BAD_TRANSACTION', `Cannot commit the transaction: ${error.message}`, {
        details,
        cause: error,
      })
}
