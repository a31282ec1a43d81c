import type { Transaction, TransactionResult } from '../../src/model/key-value.ts'
import type { StoreRead, StoreStatus } from '../../src/store/store.ts'

export type StoreHostSetup = {
  readonly self: string
  readonly folder: string
  /** Where clients connect: a path, so that no network fault of the members is one of theirs. */
  readonly socket: string
  readonly listen: { readonly host: string; readonly port: number }
  readonly peers: readonly { readonly name: string; readonly host: string; readonly port: number }[]
  /** Where requests come by HTTP as well. */
  readonly http?: { readonly host: string; readonly port: number }
  /** A planted bug: reads are answered from what this member happens to have applied. */
  readonly staleReads: boolean
}

export type StoreRequest =
  | { readonly id: number; readonly kind: 'read'; readonly prefix: string; readonly deadlineMs: number }
  | {
      readonly id: number
      readonly kind: 'transact'
      readonly transaction: Transaction
      readonly deadlineMs: number
    }
  | { readonly id: number; readonly kind: 'status' }

export type StoreReply =
  | { readonly id: number; readonly kind: 'read'; readonly read: StoreRead }
  | { readonly id: number; readonly kind: 'done'; readonly result: TransactionResult }
  | { readonly id: number; readonly kind: 'status'; readonly status: StoreStatus }
  | {
      readonly id: number
      readonly kind: 'failed'
      readonly code: string
      readonly message: string
      readonly details: Readonly<Record<string, unknown>>
    }
