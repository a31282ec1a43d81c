import { nameKey, nameText, type Analysis, type QualifiedName } from './analysis.ts'
import type { Catalog } from './catalog.ts'
import type { Reason, Verdict } from './verdict.ts'

/** What an operator says about functions, by name with or without a schema: it counts before the catalog does. */
export type FunctionOverrides = {
  readonly read: ReadonlySet<string>
  readonly write: ReadonlySet<string>
}

export type JudgeContext = {
  readonly catalog: Catalog
  readonly overrides: FunctionOverrides
  /** The analysis of a query that a view or a policy runs. */
  readonly analyse: (text: string) => Analysis
}

type Doubt = { readonly kind: 'unknown' | 'write'; readonly reason: Reason; readonly about: string }

/** Views of views: deeper ones are not looked into. */
const VIEW_DEPTH_MAX = 16

/** What the text says, with what the catalog knows of the names in it. In doubt it is no read. */
export function judge(analysis: Analysis, context: JudgeContext): Verdict {
  const { kind, reason, about, statementCount, effects } = analysis
  if (kind !== 'read')
    return { kind, reason, ...(about === undefined ? {} : { about }), statementCount, effects }
  const doubt = new Judge(context).doubtOf(analysis, 0)
  return { ...(doubt ?? { kind, reason }), statementCount, effects }
}

class Judge {
  readonly #context: JudgeContext
  /** Relations that were looked into: each once, however many views lead there. */
  readonly #seen = new Set<string>()

  constructor(context: JudgeContext) {
    this.#context = context
  }

  doubtOf(
    { kind, reason, about = '', functions, relations, fields }: Analysis,
    depth: number,
  ): Doubt | undefined {
    if (kind !== 'read') return { kind, reason, about }
    const { unusual } = this.#context.catalog
    if (unusual !== undefined && reason !== 'NOTHING_TO_DO') return unknown('UNUSUAL_CATALOG', unusual)
    return (
      first(functions, (name) => this.#functionDoubt(name)) ??
      first(fields, (name) => this.#fieldDoubt(name)) ??
      first(relations, (name) => this.#relationDoubt(name, depth))
    )
  }

  #functionDoubt(called: QualifiedName): Doubt | undefined {
    const about = nameText(called)
    const { read, write } = this.#context.overrides
    if (write.has(about) || write.has(called.name)) return { kind: 'write', reason: 'CONFIGURED', about }
    if (read.has(about) || read.has(called.name)) return undefined
    const volatility = this.#context.catalog.volatilityOf(called)
    if (volatility === undefined) return unknown('UNKNOWN_FUNCTION', about)
    return volatility === 'volatile' ? unknown('VOLATILE_FUNCTION', about) : undefined
  }

  #fieldDoubt(name: string): Doubt | undefined {
    const { catalog, overrides } = this.#context
    const isDoubtful = catalog.isVolatileField(name) && !overrides.read.has(name)
    return isDoubtful ? unknown('VOLATILE_FUNCTION', name) : undefined
  }

  #relationDoubt(relation: QualifiedName, depth: number): Doubt | undefined {
    const about = nameText(relation)
    const key = nameKey(relation)
    if (this.#seen.has(key)) return undefined
    this.#seen.add(key)
    const facts = this.#context.catalog.relationOf(relation)
    if (facts === undefined) return unknown('UNKNOWN_RELATION', about)
    if (facts.kind === 'plain') return undefined
    if (facts.kind === 'unsafe') return unknown('UNSAFE_RELATION', `${about}: ${facts.why}`)
    if (depth >= VIEW_DEPTH_MAX) return unknown('UNSAFE_RELATION', about)
    for (const query of facts.queries) {
      const doubt = this.doubtOf(this.#context.analyse(query), depth + 1)
      if (doubt !== undefined) return unknown('UNSAFE_RELATION', `${about}: ${doubt.about || doubt.reason}`)
    }
    return undefined
  }
}

function unknown(reason: Reason, about: string): Doubt {
  return { kind: 'unknown', reason, about }
}

function first<T, R>(items: readonly T[], find: (item: T) => R | undefined): R | undefined {
  for (const item of items) {
    const found = find(item)
    if (found !== undefined) return found
  }
  return undefined
}
