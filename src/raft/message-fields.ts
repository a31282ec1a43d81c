import { NAME_LENGTH_MAX } from './limits.ts'
import type { Entry } from './message.ts'

/** A byte order mark is a character like any other here: leaving it out would make two members' logs differ. */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Reasons are not told: a sender that speaks this protocol never gets here. */
export class Malformed extends Error {}

export type Fields = Readonly<Record<string, unknown>>

export class BodyReader {
  readonly #bytes: Uint8Array
  #offset = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  take(byteLength: number, lengthMax: number): string {
    const end = this.#offset + byteLength
    if (end > this.#bytes.length) throw new Malformed()
    const text = textOf(this.#bytes.subarray(this.#offset, end))
    if (text.length > lengthMax) throw new Malformed()
    this.#offset = end
    return text
  }

  assertEnd(): void {
    if (this.#offset !== this.#bytes.length) throw new Malformed()
  }
}

export function textOf(bytes: Uint8Array): string {
  return decoder.decode(bytes)
}

export function asFields(value: unknown): Fields {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new Malformed()
  return value as Fields
}

export function asList(value: unknown, max: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length > max) throw new Malformed()
  return value
}

export function asCount(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw new Malformed()
  return value
}

export function asBoolean(value: unknown): boolean {
  if (typeof value !== 'boolean') throw new Malformed()
  return value
}

export function asName(value: unknown): string {
  if (typeof value !== 'string' || value === '' || value.length > NAME_LENGTH_MAX) throw new Malformed()
  return value
}

export function asEntryKind(value: unknown): Entry['kind'] {
  if (value !== 'noop' && value !== 'command' && value !== 'configuration') throw new Malformed()
  return value
}
