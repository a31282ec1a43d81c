import type { Compare, Operation, Transaction } from '../../model/key-value.ts'
import { TRANSACTION_PARTS_MAX } from '../limits.ts'

/** What a log entry asks of the state machine. */
export type Command =
  /** Begins a session; its number is the index of this entry. `nonce` lets the asker recognise it. */
  { readonly kind: 'open'; readonly nonce: string } | TransactCommand

export type TransactCommand = {
  readonly kind: 'transact'
  readonly session: number
  /** Number of the transaction in its session: a second copy of it is answered, not applied. */
  readonly sequence: number
  /** Everything below is answered and need not be remembered. */
  readonly low: number
  readonly transaction: Transaction
}

export function encodeCommand(command: Command): string {
  return JSON.stringify(command)
}

/** The command in a log entry, or `undefined` where it is none that this program knows. */
export function decodeCommand(body: string): Command | undefined {
  try {
    const value: unknown = JSON.parse(body)
    return isCommand(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isCommand(value: unknown): value is Command {
  if (!isRecord(value)) return false
  if (value['kind'] === 'open') return typeof value['nonce'] === 'string' && value['nonce'].length <= 64
  if (value['kind'] !== 'transact' || !isRecord(value['transaction'])) return false
  const { compares, operations } = value['transaction']
  return (
    [value['session'], value['sequence'], value['low']].every(isCount) &&
    isListOf(compares, isCompare) &&
    isListOf(operations, isOperation)
  )
}

function isCompare(value: unknown): value is Compare {
  if (!isRecord(value) || typeof value['key'] !== 'string') return false
  if (value['kind'] === 'value') return typeof value['value'] === 'string'
  return (value['kind'] === 'mod' || value['kind'] === 'create') && isCount(value['revision'])
}

function isOperation(value: unknown): value is Operation {
  if (!isRecord(value) || typeof value['key'] !== 'string') return false
  return value['kind'] === 'delete' || (value['kind'] === 'put' && typeof value['value'] === 'string')
}

function isListOf(value: unknown, isItem: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.length <= TRANSACTION_PARTS_MAX && value.every(isItem)
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}
