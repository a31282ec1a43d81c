import type { CancelOrder } from '../../model/cancel-order.ts'
import type { CancelKey } from '../../wire/startup.ts'
import type { Inheritance } from '../handover/inheritance.ts'
import type { AgentLink } from '../router/agent-link.ts'

export function orderOf({ processId, secret }: CancelKey): CancelOrder {
  return { processId, secret: secret.toString('base64') }
}

export function keyOf({ processId, secret }: CancelOrder): CancelKey {
  return { processId, secret: Buffer.from(secret, 'base64') }
}

/** Asks who had the ports before, and the other nodes, both at once; `done` follows when both have answered. */
export function cancelElsewhere(
  key: CancelKey,
  others: {
    readonly inheritance: Inheritance | undefined
    readonly tables: Pick<AgentLink, 'cancelElsewhere'> | undefined
  },
  done: () => void,
): void {
  const { inheritance, tables } = others
  let left = Number(inheritance !== undefined) + Number(tables !== undefined)
  if (left === 0) return done()
  const answered = (): void => {
    left -= 1
    if (left === 0) done()
  }
  inheritance?.cancel(orderOf(key), answered)
  tables?.cancelElsewhere(orderOf(key), answered)
}
