import { Fault, messageOf } from '../../std/fault.ts'
import { PENDING_REQUESTS_MAX } from '../limits.ts'
import { OutcomeUnknown } from './requests.ts'

type Circumstances = {
  readonly error: unknown
  readonly deadlineMs: number
  readonly hasQuorum: boolean
  /** Why the store has ended, where it has. */
  readonly ended: string | undefined
}

/** What a failed read is to its caller. */
export function faultOfRead(about: Circumstances & { readonly action: string }): Error {
  const { error, action, deadlineMs, hasQuorum, ended } = about
  if (error instanceof Fault) return error
  if (ended !== undefined) return new Fault('STORE_STOPPED', `Cannot ${action}: ${ended}`)
  const options = { retryable: true, cause: error }
  return hasQuorum
    ? new Fault(
        'STORE_TIMEOUT',
        `Cannot ${action}: no answer within ${deadlineMs} ms: ${messageOf(error)}`,
        options,
      )
    : new Fault(
        'STORE_NO_QUORUM',
        `Cannot ${action}: no endpoint of etcd has a quorum: ${messageOf(error)}`,
        options,
      )
}

/** What a failed transaction is to its caller. Anything but `OutcomeUnknown` came before etcd did anything. */
export function faultOfTransaction({ error, deadlineMs, ended }: Circumstances): Error {
  if (error instanceof Fault) return error
  if (error instanceof OutcomeUnknown) {
    const message = `Cannot say whether the transaction was committed: ${error.message}; read before you repeat it`
    return new Fault('STORE_OUTCOME_UNKNOWN', message, { details: { reason: error.message }, cause: error })
  }
  const details = { applied: false }
  if (ended !== undefined) {
    return new Fault('STORE_STOPPED', `Cannot commit the transaction: ${ended}`, { details })
  }
  return new Fault(
    'STORE_NO_QUORUM',
    `Cannot commit the transaction: no endpoint of etcd took it within ${deadlineMs} ms: ${messageOf(error)}`,
    { retryable: true, details, cause: error },
  )
}

/** It has an answer, which `peek` does not show: to the caller, who wants both, that is as good as none. */
export function notVisible(deadlineMs: number, succeeded: boolean): Fault {
  const reason = `this node's copy did not show it within ${deadlineMs} ms`
  const message = `Cannot say that the transaction is visible: it was ${succeeded ? 'committed' : 'refused'}, but ${reason}`
  return new Fault('STORE_OUTCOME_UNKNOWN', message, { details: { reason } })
}

export function storeFull(): Fault {
  return new Fault('STORE_FULL', 'Cannot commit the transaction: the store is full', {
    details: { applied: false },
  })
}

export function overloaded(waiting: number): Fault {
  return new Fault(
    'STORE_OVERLOADED',
    `Cannot ask etcd: ${waiting} other requests wait, limit is ${PENDING_REQUESTS_MAX}`,
    { retryable: true, details: { applied: false } },
  )
}
