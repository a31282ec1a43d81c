import type { SessionEffect } from './session-effect.ts'
import type { Reason, VerdictKind } from './verdict.ts'

/** A name as it is written: what it means without a schema depends on the session's search_path. */
export type QualifiedName = { readonly schema?: string; readonly name: string }

/**
 * What the text alone says. `read` still depends on the catalog: on what the named functions, relations and fields are. It holds
 * no fact of any database, so one analysis serves all of them and outlives every change of a catalog.
 */
export type Analysis = {
  readonly kind: VerdictKind
  readonly reason: Reason
  readonly about?: string
  readonly statementCount: number
  readonly effects: readonly SessionEffect[]
  readonly functions: readonly QualifiedName[]
  readonly relations: readonly QualifiedName[]
  /** Names behind a dot: `t.f` calls the function f where t has no column f. */
  readonly fields: readonly string[]
}

/** Collects the analysis of a statement, or of several: what is strictest wins, and of equals the first. */
export class Findings {
  #kind: VerdictKind = 'read'
  #reason: Reason = 'NOTHING_TO_DO'
  #about: string | undefined
  readonly #effects: SessionEffect[] = []
  readonly #functions = new Map<string, QualifiedName>()
  readonly #relations = new Map<string, QualifiedName>()
  readonly #fields = new Set<string>()

  found(kind: VerdictKind, reason: Reason, about?: string): void {
    const isFirst = this.#reason === 'NOTHING_TO_DO'
    if (!isFirst && STRICTNESS[kind] <= STRICTNESS[this.#kind]) return
    this.#kind = kind
    this.#reason = reason
    this.#about = about
  }

  effect(effect: SessionEffect): void {
    this.#effects.push(effect)
  }

  needsFunction(name: QualifiedName): void {
    this.#functions.set(nameKey(name), name)
  }

  needsRelation(name: QualifiedName): void {
    this.#relations.set(nameKey(name), name)
  }

  needsField(name: string): void {
    this.#fields.add(name)
  }

  analysis(statementCount: number): Analysis {
    return {
      kind: this.#kind,
      reason: this.#reason,
      ...(this.#about === undefined ? {} : { about: this.#about }),
      statementCount,
      effects: this.#effects,
      functions: [...this.#functions.values()],
      relations: [...this.#relations.values()],
      fields: [...this.#fields],
    }
  }
}

const STRICTNESS = { read: 0, unknown: 1, write: 2 } as const

/** For maps: no name of PostgreSQL has a NUL in it. */
export function nameKey({ schema, name }: QualifiedName): string {
  return schema === undefined ? name : `${schema}\0${name}`
}

export function nameText({ schema, name }: QualifiedName): string {
  return schema === undefined ? name : `${schema}.${name}`
}
