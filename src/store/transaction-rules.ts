import type { Transaction } from '../model/key-value.ts'
import { Fault } from '../std/fault.ts'
import { jsonLength } from './json-length.ts'
import { KEY_LENGTH_MAX, TRANSACTION_LENGTH_MAX, TRANSACTION_PARTS_MAX, VALUE_LENGTH_MAX } from './limits.ts'

/** Throws `STORE_BAD_TRANSACTION` for what no backend would take: before it is sent, so it was certainly not applied. */
export function checkTransaction({ compares, operations }: Transaction): void {
  if (compares.length > TRANSACTION_PARTS_MAX || operations.length > TRANSACTION_PARTS_MAX) {
    refuse(`${compares.length} comparisons and ${operations.length} operations`, TRANSACTION_PARTS_MAX)
  }
  const changed = new Set<string>()
  let length = 0
  for (const part of [...compares, ...operations]) {
    const value = 'value' in part ? part.value : ''
    if (part.key === '' || part.key.length > KEY_LENGTH_MAX) {
      refuse(`a key of length ${part.key.length}`, KEY_LENGTH_MAX)
    }
    if (value.length > VALUE_LENGTH_MAX) {
      refuse(`"${part.key}" has a value of length ${value.length}`, VALUE_LENGTH_MAX)
    }
    length += jsonLength(part.key) + jsonLength(value)
  }
  if (length > TRANSACTION_LENGTH_MAX) refuse(`a length of ${length}`, TRANSACTION_LENGTH_MAX)
  for (const { key } of operations) {
    // As in etcd: two changes of one key at one revision would leave watchers to guess.
    if (changed.has(key)) refuse(`two operations on "${key}"`, 1)
    changed.add(key)
  }
}

function refuse(actual: string, limit: number): never {
  throw new Fault(
    'STORE_BAD_TRANSACTION',
    `Cannot commit the transaction: it has ${actual}, limit is ${limit}`,
    {
      details: { applied: false },
    },
  )
}
