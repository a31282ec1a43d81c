import type { KeyValue, Transaction, WatchEvent } from '../../model/key-value.ts'
import { Fault } from '../../std/fault.ts'
import { checkTransaction } from '../transaction-rules.ts'
import { isEncodable } from './messages.ts'

/** Keys as this store names them, and as etcd does: with the namespace before them. */
export class KeySpace {
  readonly #namespace: string
  readonly #prefix: string

  constructor(options: { readonly namespace: string; readonly prefix: string }) {
    this.#namespace = options.namespace
    this.#prefix = options.prefix
  }

  /** On etcd: everything that the mirror holds. */
  get mirrored(): string {
    return this.#namespace + this.#prefix
  }

  isMirrored(key: string): boolean {
    return key.startsWith(this.#prefix)
  }

  /** Throws `STORE_BAD_TRANSACTION`: before it is sent, so it was certainly not applied. */
  check(transaction: Transaction): void {
    checkTransaction(transaction)
    for (const part of [...transaction.compares, ...transaction.operations]) {
      const { key } = part
      if (!this.isMirrored(key)) refuse(`"${key}" does not begin with "${this.#prefix}"`)
      const isText = isEncodable(key) && (!('value' in part) || isEncodable(part.value))
      if (!isText) refuse(`"${key}" or its value is no text`)
    }
  }

  outward(transaction: Transaction): Transaction {
    const out = <Part extends { readonly key: string }>(part: Part): Part => ({
      ...part,
      key: this.#namespace + part.key,
    })
    return { compares: transaction.compares.map(out), operations: transaction.operations.map(out) }
  }

  /** On etcd: everything that begins with `prefix` in this store. */
  rangeOf(prefix: string): string {
    return this.#namespace + prefix
  }

  inward<Part extends { readonly key: string }>(part: Part): Part {
    return { ...part, key: part.key.slice(this.#namespace.length) }
  }

  inwardAll(entries: readonly KeyValue[]): readonly KeyValue[] {
    return entries.map((entry) => this.inward(entry))
  }

  inwardEvent(event: WatchEvent): WatchEvent {
    return event.kind === 'put' ? { kind: 'put', entry: this.inward(event.entry) } : this.inward(event)
  }
}

function refuse(what: string): never {
  throw new Fault('STORE_BAD_TRANSACTION', `Cannot commit the transaction: ${what}`, {
    details: { applied: false },
  })
}
