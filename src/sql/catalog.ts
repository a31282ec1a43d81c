import { nameKey, type QualifiedName } from './analysis.ts'
import { HARMLESS_VOLATILE } from './known-functions.ts'

export type Volatility = 'immutable' | 'stable' | 'volatile'

/** What a relation is to a read: `undefined` would be "not known". */
export type RelationFacts =
  | { readonly kind: 'plain' }
  /** No standby can read it, or it reaches out, or says something else there: sequences are logged ahead. */
  | { readonly kind: 'unsafe'; readonly why: 'unlogged' | 'foreign' | 'sequence' }
  /** Reading it runs these queries: a view's, the conditions of row security. */
  | { readonly kind: 'runs'; readonly queries: readonly string[] }

/**
 * What a verdict has to know of a database. A name without a schema may mean any object of that name, whatever the
 * search_path says now: the answer is that of the worst.
 */
export interface Catalog {
  /** `undefined`: no such function is known. */
  volatilityOf(name: QualifiedName): Volatility | undefined
  /** `undefined`: no such relation is known. */
  relationOf(name: QualifiedName): RelationFacts | undefined
  /** Does `t.name` call a volatile function of a row? */
  isVolatileField(name: string): boolean
  /** What makes any expression doubtful: an operator, a cast or a domain that calls a volatile function. */
  readonly unusual: string | undefined
}

/** A row of `CATALOG_QUERY`. */
export type CatalogRow = {
  readonly kind: 'function' | 'field' | 'relation' | 'unusual'
  readonly schema: string
  readonly name: string
  /** Of a function `i`, `s` or `v`; of a relation `plain`, `runs` or why it is unsafe. */
  readonly fact: string
  /** A JSON array of texts. */
  readonly queries: string
}

const VOLATILITY: Readonly<Record<string, Volatility>> = { i: 'immutable', s: 'stable', v: 'volatile' }
const RANK: Readonly<Record<Volatility, number>> = { immutable: 0, stable: 1, volatile: 2 }

/**
 * Everything that `catalogFrom` wants, in one round trip. The volatility of an aggregate is that of the functions behind
 * it, its own entry always says immutable; a function whose defaults call another counts as volatile, since a call may run
 * them. A partition counts for all that lie above it.
 */
export const CATALOG_QUERY = `
with recursive function as (
  select n.nspname as schema, p.proname as name,
    greatest(p.provolatile::text,
      case when pg_catalog.pg_get_expr(p.proargdefaults, 0) ~ '[[:alnum:]_"][(]' then 'v' else 'i' end, coalesce((
      select max(f.provolatile::text)
      from pg_catalog.pg_aggregate a
      join pg_catalog.pg_proc f on f.oid in
        (a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn)
      where a.aggfnoid = p.oid), 'i')) as fact,
    p.pronargs - p.pronargdefaults <= 1 and exists (
      select from pg_catalog.pg_type t
      where t.oid = p.proargtypes[0] and (t.typtype in ('c', 'd') or t.typname in ('record', 'any') or
        t.typname ~ '^any(compatible)?(element|nonarray)?$')) as is_field
  from pg_catalog.pg_proc p
  join pg_catalog.pg_namespace n on n.oid = p.pronamespace
), below (root, child) as (
  select inhparent, inhrelid from pg_catalog.pg_inherits
  union
  select below.root, i.inhrelid from below join pg_catalog.pg_inherits i on i.inhparent = below.child
), parts as (
  select root, bool_or(c.relpersistence = 'u') as unlogged, bool_or(c.relkind = 'f') as foreign
  from below join pg_catalog.pg_class c on c.oid = below.child
  group by root
), relation as (
  select n.nspname as schema, c.relname as name,
    case
      when c.relpersistence = 'u' or parts.unlogged then 'unlogged'
      when c.relkind = 'f' or parts.foreign then 'foreign'
      when c.relkind = 'S' then 'sequence'
      when c.relkind = 'v' or c.relrowsecurity then 'runs'
      else 'plain'
    end as fact,
    case
      when c.relkind = 'v' then array[pg_catalog.pg_get_viewdef(c.oid)]
      when c.relrowsecurity then array(
        select 'select ' || pg_catalog.pg_get_expr(p.polqual, p.polrelid)
        from pg_catalog.pg_policy p
        where p.polrelid = c.oid and p.polqual is not null)
      else array[]::text[]
    end as queries
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join parts on parts.root = c.oid
  where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
), volatile as (
  select oid, proname from pg_catalog.pg_proc where provolatile = 'v'
), unusual as (
  select 'operator ' || oprname as name from pg_catalog.pg_operator where oprcode in (select oid from volatile)
  union all
  select 'cast to ' || pg_catalog.format_type(casttarget, null) from pg_catalog.pg_cast
  where castfunc in (select oid from volatile)
  union all
  select 'type ' || typname from pg_catalog.pg_type
  where typinput in (select oid from volatile) or typoutput in (select oid from volatile)
    or typreceive in (select oid from volatile) or typsend in (select oid from volatile)
  union all
  select 'domain ' || t.typname
  from pg_catalog.pg_constraint k
  join pg_catalog.pg_type t on t.oid = k.contypid
  where exists (
    select from volatile
    where pg_catalog.strpos(pg_catalog.pg_get_constraintdef(k.oid), pg_catalog.quote_ident(proname) || '(') > 0)
)
select 'function' as kind, schema, name, max(fact) as fact, '[]' as queries from function group by schema, name
union all select distinct 'field', '', name, 'v', '[]' from function where is_field and fact = 'v'
union all select 'relation', schema, name, fact, pg_catalog.array_to_json(queries)::text from relation
union all select 'unusual', '', name, '', '[]' from unusual`

export function catalogFrom(rows: Iterable<CatalogRow>): Catalog {
  const functions = new Map<string, Volatility>()
  const relations = new Map<string, RelationFacts>()
  const fields = new Set<string>()
  let unusual: string | undefined
  for (const row of rows) {
    if (row.kind === 'function') addFunction(functions, row)
    else if (row.kind === 'relation') addRelation(relations, row)
    else if (row.kind === 'field') fields.add(row.name)
    else unusual ??= row.name
  }
  return {
    volatilityOf: (name) => functions.get(nameKey(name)),
    relationOf: (name) => relations.get(nameKey(name)),
    isVolatileField: (name) => fields.has(name),
    unusual,
  }
}

function addFunction(functions: Map<string, Volatility>, { schema, name, fact }: CatalogRow): void {
  const isHarmless = schema === 'pg_catalog' && HARMLESS_VOLATILE.has(name)
  const volatility = isHarmless ? 'stable' : (VOLATILITY[fact] ?? 'volatile')
  for (const key of [nameKey({ schema, name }), name]) {
    const known = functions.get(key)
    if (known === undefined || RANK[volatility] > RANK[known]) functions.set(key, volatility)
  }
}

function addRelation(
  relations: Map<string, RelationFacts>,
  { schema, name, fact, queries }: CatalogRow,
): void {
  const facts: RelationFacts =
    fact === 'unlogged' || fact === 'foreign' || fact === 'sequence'
      ? { kind: 'unsafe', why: fact }
      : fact === 'runs'
        ? { kind: 'runs', queries: JSON.parse(queries) as readonly string[] }
        : { kind: 'plain' }
  relations.set(nameKey({ schema, name }), facts)
  relations.set(name, worse(relations.get(name), facts))
}

function worse(one: RelationFacts | undefined, other: RelationFacts): RelationFacts {
  if (one === undefined || one.kind === 'plain') return other
  if (one.kind === 'unsafe' || other.kind === 'plain') return one
  return other.kind === 'unsafe' ? other : { kind: 'runs', queries: [...one.queries, ...other.queries] }
}
