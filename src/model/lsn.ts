import type { Brand } from '../std/brand.ts'

/** A position in the write-ahead log, in bytes from its beginning (PostgreSQL: XLogRecPtr). */
export type Lsn = Brand<bigint, 'Lsn'>

/** `0/0`, PostgreSQL's "no position". */
export const LSN_NONE: Lsn = 0n as Lsn

/** Reads PostgreSQL's text form `16/B374D848`; `undefined` when it is not one. */
export function parseLsn(text: string): Lsn | undefined {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text)
  if (!match) return undefined
  return ((BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`)) as Lsn
}

/** PostgreSQL's text form, upper case, without leading zeros. */
export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`
}

/** Bytes from `from` to `to`, never below zero. */
export function lagBytes(from: Lsn, to: Lsn): number {
  return to > from ? Number(to - from) : 0
}
