import { nameText, type Findings, type QualifiedName } from './analysis.ts'
import type { Tree } from './tree.ts'
import { knownFunction } from './known-functions.ts'
import {
  constantText,
  fieldsOf,
  isTree,
  listAt,
  namesIn,
  qualifiedName,
  relationName,
  textAt,
  treeAt,
} from './tree.ts'

/** Nodes that read whatever their parts do. What is not here is not proven: the next release's grammar among others. */
const READING_NODES = new Set(
  [
    'A_ArrayExpr A_Const A_Expr A_Indices A_Indirection A_Star Alias BitString BoolExpr Boolean BooleanTest CaseExpr CaseWhen',
    'CoalesceExpr CollateClause ColumnDef ColumnRef CommonTableExpr CTECycleClause CTESearchClause DefElem Float FuncCall',
    'GroupingFunc GroupingSet Integer JoinExpr JsonAggConstructor JsonArgument JsonArrayAgg JsonArrayConstructor',
    'JsonArrayQueryConstructor JsonBehavior JsonFormat JsonFuncExpr JsonIsPredicate JsonKeyValue JsonObjectAgg',
    'JsonObjectConstructor JsonOutput JsonParseExpr JsonReturning JsonScalarExpr JsonSerializeExpr JsonTable JsonTableColumn',
    'JsonTablePathSpec JsonValueExpr List MinMaxExpr NamedArgExpr NullTest ParamRef RangeFunction RangeSubselect',
    'RangeTableFunc RangeTableFuncCol RangeTableSample RangeVar ResTarget RowExpr SelectStmt SortBy SQLValueFunction String',
    'SubLink TypeCast TypeName WindowDef WithClause XmlExpr XmlSerialize',
  ].flatMap((line) => line.split(' ')),
)

const DATA_CHANGES = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'])

/** Sampling methods of PostgreSQL itself; others run an extension's code. */
const SAMPLING = new Set(['bernoulli', 'system'])

/** Names of common table expressions that hide relations here. */
type Scope = ReadonlySet<string>

const NO_NAMES: Scope = new Set()

/** Looks through a query, or through a statement that changes data, and says what it found. */
export function walkQuery(tag: string, fields: Tree, findings: Findings): void {
  new QueryWalk(findings).node(tag, fields, NO_NAMES)
}

class QueryWalk {
  readonly #findings: Findings

  constructor(findings: Findings) {
    this.#findings = findings
  }

  node(tag: string, fields: Tree, scope: Scope): void {
    if (DATA_CHANGES.has(tag)) this.#findings.found('write', 'CHANGES_DATA', commandOf(tag))
    else if (tag === 'LockingClause') return this.#findings.found('write', 'LOCKS_ROWS')
    else if (!READING_NODES.has(tag)) this.#findings.found('unknown', 'UNKNOWN_SYNTAX', tag)
    switch (tag) {
      case 'RangeVar':
        return this.#relation(fields, scope)
      case 'FuncCall':
        this.#function(fields)
        break
      case 'ColumnRef':
        return this.#column(fields)
      case 'A_Indirection':
        for (const name of namesIn(listAt(fields, 'indirection'))) this.#findings.needsField(name)
        break
      case 'RangeTableSample':
        this.#sample(fields)
        break
    }
    this.#fields(fields, scope)
  }

  /** A value of any kind: a node in its wrapper, fields without one, or a list. */
  #value(value: unknown, scope: Scope): void {
    if (Array.isArray(value)) {
      for (const item of value) this.#value(item, scope)
      return
    }
    if (!isTree(value)) return
    const [first, ...others] = Object.keys(value)
    if (first !== undefined && others.length === 0 && isTag(first)) {
      return this.node(first, treeAt(value, first), scope)
    }
    this.#fields(value, scope)
  }

  #fields(fields: Tree, outer: Scope): void {
    const scope = this.#scopeOf(treeAt(fields, 'withClause'), outer)
    for (const [field, value] of Object.entries(fields)) {
      if (field === 'intoClause') this.#into(value)
      else if (field !== 'withClause') this.#value(value, scope)
    }
  }

  /** Walks what WITH holds; each may use the names before it, and with RECURSIVE all of them. */
  #scopeOf(clause: Tree, outer: Scope): Scope {
    const parts = listAt(clause, 'ctes').map((part) => fieldsOf(part, 'CommonTableExpr'))
    if (parts.length === 0) return outer
    const names = parts.map((part) => textAt(part, 'ctename') ?? '')
    const all = new Set([...outer, ...names])
    let seen = new Set(outer)
    for (const [index, part] of parts.entries()) {
      this.#fields(part, clause['recursive'] === true ? all : seen)
      seen = new Set([...seen, names[index] ?? ''])
    }
    return all
  }

  #into(clause: unknown): void {
    if (!isTree(clause)) return
    const relation = treeAt(clause, 'rel')
    this.#findings.found('write', 'SELECTS_INTO', textAt(relation, 'relname'))
    if (isKeptTemporary(relation, textAt(clause, 'onCommit'))) {
      this.#findings.effect({ kind: 'pin', cause: 'temporary-object' })
    }
  }

  #relation(fields: Tree, scope: Scope): void {
    const relation = relationName(fields)
    if (relation.schema === undefined && scope.has(relation.name)) return
    if (isCatalog(relation)) this.#findings.found('unknown', 'READS_CATALOG', nameText(relation))
    this.#findings.needsRelation(relation)
  }

  #column(fields: Tree): void {
    const names = listAt(fields, 'fields')
    const [last] = namesIn(names.slice(-1))
    if (names.length > 1 && last !== undefined) this.#findings.needsField(last)
  }

  #function(fields: Tree): void {
    const called = qualifiedName(namesIn(listAt(fields, 'funcname')))
    if (called.name === 'set_config') return this.#setConfig(fields)
    const known = knownFunction(called)
    if (known === undefined) return this.#findings.needsFunction(called)
    this.#findings.found(known.kind, known.reason, nameText(called))
    if (known.effect !== undefined) this.#findings.effect(known.effect)
  }

  /** Where it ends with the transaction there is nothing to keep for the session. */
  #setConfig(fields: Tree): void {
    this.#findings.found('unknown', 'CHANGES_SESSION', 'set_config')
    const local = constantText(listAt(fields, 'args').at(-1)) === 'true'
    if (!local) this.#findings.effect({ kind: 'pin', cause: 'setting' })
  }

  #sample(fields: Tree): void {
    const method = qualifiedName(namesIn(listAt(fields, 'method')))
    if (method.schema !== undefined || !SAMPLING.has(method.name)) {
      this.#findings.found('unknown', 'UNKNOWN_FUNCTION', nameText(method))
    }
  }
}

/** Names of nodes begin with a capital, names of fields do not. */
function isTag(key: string): boolean {
  const code = key.charCodeAt(0)
  return code >= 65 && code <= 90
}

/** `INSERT` of `InsertStmt`. */
function commandOf(tag: string): string {
  return tag.replace(/Stmt$/, '').toUpperCase()
}

/** What pg_dump calls system objects: their rows lag behind, or say something about the node. */
function isCatalog({ schema, name }: QualifiedName): boolean {
  if (schema === undefined) return name.startsWith('pg_')
  return schema.startsWith('pg_') || schema === 'information_schema'
}

/** Of a relation that is made: does it stay with the session? */
export function isKeptTemporary(relation: Tree, onCommit: string | undefined): boolean {
  const isTemporary = relation['relpersistence'] === 't' || textAt(relation, 'schemaname') === 'pg_temp'
  return isTemporary && onCommit !== 'ONCOMMIT_DROP'
}
