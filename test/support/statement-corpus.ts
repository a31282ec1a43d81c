import type { CatalogRow } from '../../src/sql/catalog.ts'
import type { SessionEffect } from '../../src/sql/session-effect.ts'
import type { Reason, VerdictKind } from '../../src/sql/verdict.ts'

/** Statements with their verdicts: every trap of a read/write split, and what must not be held for one. */
export type CorpusStatement = {
  readonly sql: string
  readonly kind: VerdictKind
  readonly reason: Reason
  readonly effects?: readonly SessionEffect[]
}

/** The database in which they have these verdicts. */
export const CORPUS_SCHEMA = `
create table t (id int primary key, n int, name text, doc jsonb);
insert into t values (1, 1, 'a', '{}'), (2, 2, 'b', '{"a": 1}');
create unlogged table fleeting (id int);
create table parted (id int) partition by range (id);
create table parted_low partition of parted for values from (0) to (10);
create unlogged table parted_high partition of parted for values from (10) to (20);
create sequence s;
create view plain_view as select id, lower(name) as name from t;
create view counting_view as select nextval('s') as n, id from t;
create view deep_view as select id from counting_view where id > 0;
create materialized view kept as select count(*) as n from t;
create function stable_fn(int) returns int language sql stable as 'select $1';
create function undeclared_fn(int) returns int language sql as 'select $1';
create function default_fn(int default nextval('s')) returns int language sql stable as 'select $1';
create function writing_fn() returns int language plpgsql as
  $$ begin update t set n = n + 1 where id = 1; return 1; end $$;
create function row_fn(t) returns int language plpgsql as
  $$ begin update t set n = n + 1 where id = 1; return 1; end $$;
create function step(state int, value int) returns int language plpgsql as
  $$ begin update t set n = n + 1 where id = 1; return value; end $$;
create aggregate writing_sum (int) (sfunc = step, stype = int);
create schema hidden;
create function hidden.upper(text) returns text language plpgsql as
  $$ begin update t set n = n + 1 where id = 1; return $1; end $$;
create function hidden.allowed() returns boolean language plpgsql as
  $$ begin update t set n = n + 1 where id = 1; return true; end $$;
create table guarded (id int);
alter table guarded enable row level security;
create policy plain_policy on guarded using (id > 0);
create table booby (id int);
alter table booby enable row level security;
create policy booby_policy on booby using (hidden.allowed());
create procedure p(int) language sql as 'update t set n = $1 where id = 1';
create role reader;
grant select on all tables in schema public to reader;
`

/** What `CATALOG_QUERY` says of that database, as far as the corpus names it. */
export const corpusRows: readonly CatalogRow[] = [
  ...fn(
    'i',
    'lower upper length coalesce abs jsonb_array_elements generate_series similar_to_escape substring extract',
  ),
  ...fn('i', 'count sum max row_number row_to_json array_agg'),
  ...fn('s', 'now to_char current_setting concat timezone date_part'),
  ...fn('v', 'random clock_timestamp pg_sleep gen_random_uuid'),
  ...fn('s', 'stable_fn', 'public'),
  ...fn('v', 'undeclared_fn default_fn writing_fn row_fn step writing_sum p', 'public'),
  ...fn('v', 'upper allowed', 'hidden'),
  { kind: 'field', schema: '', name: 'row_fn', fact: 'v', queries: '[]' },
  relation('s', 'sequence'),
  ...'t parted_low kept'.split(' ').map((name) => relation(name, 'plain')),
  ...'fleeting parted parted_high'.split(' ').map((name) => relation(name, 'unlogged')),
  relation('plain_view', 'runs', ' SELECT id,\n    lower(name) AS name\n   FROM t;'),
  relation('counting_view', 'runs', " SELECT nextval('s'::regclass) AS n,\n    id\n   FROM t;"),
  relation('deep_view', 'runs', ' SELECT id\n   FROM counting_view\n  WHERE (id > 0);'),
  relation('guarded', 'runs', 'select (id > 0)'),
  relation('booby', 'runs', 'select hidden.allowed()'),
]

function fn(fact: string, names: string, schema = 'pg_catalog'): readonly CatalogRow[] {
  return names.split(' ').map((name) => ({ kind: 'function', schema, name, fact, queries: '[]' }))
}

function relation(name: string, fact: string, ...queries: readonly string[]): CatalogRow {
  return { kind: 'relation', schema: 'public', name, fact, queries: JSON.stringify(queries) }
}

const PIN = (cause: Extract<SessionEffect, { kind: 'pin' }>['cause']): readonly SessionEffect[] => [
  { kind: 'pin', cause },
]

function all(kind: VerdictKind, reason: Reason, statements: readonly string[]): readonly CorpusStatement[] {
  return statements.map((sql) => ({ sql, kind, reason }))
}

function one(
  sql: string,
  kind: VerdictKind,
  reason: Reason,
  effects: readonly SessionEffect[],
): CorpusStatement {
  return { sql, kind, reason, effects }
}

export const statementCorpus: readonly CorpusStatement[] = [
  ...all('read', 'READS_ONLY', [
    'select 1',
    'select * from t where id = 1',
    'table t',
    'values (1), (2)',
    '(select 1) union all (select 2) order by 1',
    'with recursive r as (select 1 as n union all select n + 1 from r where n < 5) select * from r',
    'with counting_view as (select 1 as n) select * from counting_view',
    'select t.id, (t).name, t.* from t',
    'select count(*) filter (where n > 1) over (partition by name order by id) from t',
    'select * from t, lateral (select max(n) from t t2 where t2.id = t.id) m',
    'select * from generate_series(1, 3) with ordinality',
    "select name like 'a%', name similar to 'a', name between 'a' and 'b', doc -> 'a', doc @> '{}' from t",
    'select case when n > 1 then 1 else 0 end, coalesce(n, 0), greatest(n, 1), array[1, 2], row(1, 2) from t',
    'select current_timestamp, current_user, current_date, localtime, session_user',
    'select exists (select from t), 1 = any (array(select id from t)), id in (select id from t) from t',
    "select name collate \"C\", cast(id as text), id::text, date '2020-01-01', interval '1 day' from t",
    'select * from t tablesample system (50)',
    'select * from t order by id limit 1 offset 1',
    'select distinct on (n) n from t group by grouping sets ((n), ()) having count(*) > 0',
    'select random(), clock_timestamp(), gen_random_uuid(), pg_sleep(0)',
    'select stable_fn(1), now(), to_char(now(), $$YYYY$$)',
    'select pg_catalog.upper(name) from t',
    'select xmin, ctid, tableoid from t',
    'select * from plain_view',
    'select * from kept',
    'select * from guarded',
    'explain select * from t',
    'explain (analyze, costs off) select 1',
    'copy t to stdout',
    'copy (select 1) to stdout with (format csv)',
    'declare c cursor for select 1',
    "select current_setting('work_mem')",
    "select extract(year from now()), substring('abc' from 1 for 2), now() at time zone 'UTC'",
    "select * from jsonb_array_elements('[1]'), rows from (generate_series(1, 2)) as g",
    "select 'for update; delete from t' -- delete from t",
    '/* insert */ select 1; select 2',
    'select U&"\\0069d" from t',
  ]),
  ...all('read', 'NOTHING_TO_DO', ['', ';', '-- nothing']),
  ...all('write', 'CHANGES_DATA', [
    "insert into t values (3, 3, 'c', null)",
    'update t set n = 1',
    'delete from t',
    'merge into t using (select 1 as id) x on t.id = x.id when matched then delete',
    'with gone as (delete from t returning *) select * from gone',
    'select * from (with x as (select 1) select 1) y, lateral (select 2) z; delete from t',
    "with a as (select 1), b as (insert into t values (4, 4, 'd', null) returning 1) select * from a",
    'explain analyze delete from t',
    'explain delete from t',
    'copy (delete from t returning *) to stdout',
    'select 1; update t set n = 2',
    "commit prepared 'x'",
  ]),
  ...all('write', 'LOCKS_ROWS', [
    'select * from t for update',
    'select * from t for no key update',
    'select * from t for share of t nowait',
    'select * from t for key share skip locked',
    'select * from (select * from t for update) x',
    'with x as (select * from t for update) select * from x',
    'select (select id from t limit 1 for share)',
    'declare c cursor for select * from t for update',
  ]),
  ...all('write', 'SELECTS_INTO', ['select * into t2 from t', '(select 1 as x into t3) union select 2']),
  ...all('write', 'CHANGES_SCHEMA', [
    'create table t4 as select 1',
    'explain analyze create table t5 as select 1',
    'drop table t',
    'alter table t add column x int',
    'create index on t (n)',
    'grant select on t to reader',
    'security label for x on table t is null',
    'comment on table t is null',
    'create function f() returns int language sql begin atomic select 1; select 2; end',
    "alter role reader set work_mem = '1MB'",
  ]),
  ...all('write', 'RUNS_COMMAND', [
    'truncate t',
    'lock table t',
    'vacuum t',
    'analyze t',
    'reindex table t',
    'refresh materialized view kept',
    'cluster t',
    'checkpoint',
    "alter system set work_mem = '4MB'",
  ]),
  ...all('write', 'COPIES_IN', ['copy t from stdin']),
  ...all('write', 'TOUCHES_FILES', ["copy t to '/tmp/x'", "copy (select 1) to program 'cat'"]),
  ...all('write', 'USES_SEQUENCE', [
    "select nextval('s')",
    "select setval('s', 1)",
    "select pg_catalog.nextval('s')",
  ]),
  ...all('write', 'USES_LARGE_OBJECT', ['select lo_create(0)', 'select lo_get(1)', "select lowrite(1, '')"]),
  ...all('write', 'USES_TRANSACTION_ID', ['select txid_current()', 'select pg_current_xact_id()']),
  ...all('write', 'NOTIFIES', ['notify x', "select pg_notify('x', '')"]),
  ...all('write', 'RUNS_CODE', [
    'do $$ begin end $$',
    'call p(1)',
    "select query_to_xml('delete from t', true, true, '')",
  ]),
  ...all('write', 'REACHES_OUT', ["select * from dblink('', 'delete from t') as x (a int)"]),
  ...all('write', 'USES_ADVISORY_LOCK', ['select pg_advisory_xact_lock(1)', 'select pg_advisory_unlock(1)']),
  one('select pg_advisory_lock(1)', 'write', 'USES_ADVISORY_LOCK', PIN('advisory-lock')),
  one('select pg_try_advisory_lock(1, 2) from t', 'write', 'USES_ADVISORY_LOCK', PIN('advisory-lock')),
  one('insert into t select pg_advisory_lock(1)', 'write', 'CHANGES_DATA', PIN('advisory-lock')),
  one('select pg_advisory_unlock_all()', 'write', 'USES_ADVISORY_LOCK', [
    { kind: 'unpin', cause: 'advisory-lock' },
  ]),

  ...all('unknown', 'VOLATILE_FUNCTION', [
    'select writing_fn()',
    'select undeclared_fn(1)',
    'select default_fn()',
    'select * from writing_fn()',
    'select 1 from t where writing_fn() > 0',
    'select 1 from t order by writing_fn()',
    'select row_fn(t) from t',
    'select t.row_fn from t',
    'select (t).row_fn from t',
    'select writing_sum(n) from t',
    'select upper(name) from t',
    'set search_path = hidden; select 1',
    'explain (analyze) select writing_fn()',
    'copy (select writing_fn()) to stdout',
    'select (select (select writing_fn()))',
  ]).map((statement) =>
    statement.sql.startsWith('set') ? { ...statement, reason: 'CHANGES_SESSION' as const } : statement,
  ),
  ...all('unknown', 'UNKNOWN_FUNCTION', [
    'select nobody_knows(1)',
    'select * from t tablesample system_rows (1)',
  ]),
  ...all('unknown', 'UNKNOWN_RELATION', [
    'select * from nobody_knows',
    'with x as (select * from y), y as (select 1) select * from x',
    'select * from x, (with x as (select 1) select * from x) z',
  ]),
  ...all('unknown', 'UNSAFE_RELATION', [
    'select * from fleeting',
    'select last_value from s',
    'select * from parted',
    'select * from counting_view',
    'select * from deep_view',
    'select * from booby',
    'select * from counting_view, (with counting_view as (select 1) select * from counting_view) z',
    'with counting_view as (select id from counting_view) select * from counting_view',
  ]),
  ...all('unknown', 'READS_CATALOG', [
    'select * from pg_class',
    'select * from pg_catalog.pg_proc',
    'select * from information_schema.tables',
    'select * from pg_stat_activity',
  ]),
  ...all('unknown', 'ASKS_THE_NODE', [
    'show work_mem',
    'show transaction_read_only',
    'select pg_is_in_recovery()',
    'select pg_backend_pid()',
    'select inet_server_addr()',
    'select pg_export_snapshot()',
    'select pg_last_wal_replay_lsn()',
    'select pg_current_wal_lsn()',
    'select txid_current_snapshot()',
  ]),
  ...all('unknown', 'NEEDS_ITS_SESSION', [
    'fetch 1 from c',
    'move c',
    'close c',
    'execute x',
    'deallocate x',
  ]),
  ...all('unknown', 'SYNTAX', ['selec 1', 'select 1 from', 'select * from t for', 'select 1;; delete']),
  ...all('unknown', 'BROKEN', ["select 'a", 'select 1 /* ', 'select \\', 'select "a']),

  one("select currval('s')", 'unknown', 'NEEDS_ITS_SESSION', PIN('sequence-value')),
  one('select lastval()', 'unknown', 'NEEDS_ITS_SESSION', PIN('sequence-value')),
  one('select setseed(0.5)', 'unknown', 'CHANGES_SESSION', PIN('random-seed')),
  one("select set_config('work_mem', '1MB', false)", 'unknown', 'CHANGES_SESSION', PIN('setting')),
  one("select set_config('work_mem', '1MB', $1)", 'unknown', 'CHANGES_SESSION', PIN('setting')),
  one("select set_config('work_mem', '1MB', true)", 'unknown', 'CHANGES_SESSION', []),
  one(
    "select 1 from t where set_config('a.b', name, false) = ''",
    'unknown',
    'CHANGES_SESSION',
    PIN('setting'),
  ),
  one('create temp table x (a int)', 'write', 'CHANGES_SCHEMA', PIN('temporary-object')),
  one('create temp table x (a int) on commit drop', 'write', 'CHANGES_SCHEMA', []),
  one('create temporary table x as select 1', 'write', 'CHANGES_SCHEMA', PIN('temporary-object')),
  one('create temp view x as select 1', 'write', 'CHANGES_SCHEMA', PIN('temporary-object')),
  one('create temp sequence x', 'write', 'CHANGES_SCHEMA', PIN('temporary-object')),
  one('create table pg_temp.x (a int)', 'write', 'CHANGES_SCHEMA', PIN('temporary-object')),
  one(
    "create function pg_temp.f() returns int language sql as 'select 1'",
    'write',
    'CHANGES_SCHEMA',
    PIN('temporary-object'),
  ),
  one('select 1 as a into temp x', 'write', 'SELECTS_INTO', PIN('temporary-object')),
  one('listen x', 'unknown', 'CHANGES_SESSION', PIN('listen')),
  one('unlisten *', 'unknown', 'CHANGES_SESSION', [{ kind: 'unpin', cause: 'listen' }]),
  one('prepare x as delete from t', 'unknown', 'CHANGES_SESSION', PIN('prepared-statement')),
  one('deallocate all', 'unknown', 'NEEDS_ITS_SESSION', [{ kind: 'unpin', cause: 'prepared-statement' }]),
  one('declare c cursor with hold for select 1', 'unknown', 'CHANGES_SESSION', PIN('cursor-with-hold')),
  one('close all', 'unknown', 'NEEDS_ITS_SESSION', [{ kind: 'unpin', cause: 'cursor-with-hold' }]),
  one("load 'plpgsql'", 'unknown', 'CHANGES_SESSION', PIN('loaded-library')),
  one('discard all', 'unknown', 'CHANGES_SESSION', [{ kind: 'unpin', cause: 'all' }]),
  one('discard temp', 'unknown', 'CHANGES_SESSION', [{ kind: 'unpin', cause: 'temporary-object' }]),

  one('begin', 'unknown', 'CONTROLS_TRANSACTION', [{ kind: 'begin', modes: {} }]),
  one('start transaction read only', 'unknown', 'CONTROLS_TRANSACTION', [
    { kind: 'begin', modes: { readOnly: true } },
  ]),
  one('begin isolation level serializable, read write, deferrable', 'unknown', 'CONTROLS_TRANSACTION', [
    { kind: 'begin', modes: { isolation: 'serializable', readOnly: false, deferrable: true } },
  ]),
  one('begin read only; select 1; set transaction read write', 'unknown', 'CONTROLS_TRANSACTION', [
    { kind: 'begin', modes: { readOnly: true } },
    { kind: 'transaction-modes', modes: { readOnly: false }, snapshot: false },
  ]),
  one('commit and chain', 'unknown', 'CONTROLS_TRANSACTION', [{ kind: 'end', how: 'commit', chain: true }]),
  one('end', 'unknown', 'CONTROLS_TRANSACTION', [{ kind: 'end', how: 'commit', chain: false }]),
  one('abort', 'unknown', 'CONTROLS_TRANSACTION', [{ kind: 'end', how: 'rollback', chain: false }]),
  one("prepare transaction 'x'", 'unknown', 'CONTROLS_TRANSACTION', [
    { kind: 'end', how: 'prepare', chain: false },
  ]),
  one('savepoint a', 'unknown', 'CONTROLS_TRANSACTION', [{ kind: 'savepoint', how: 'set', name: 'a' }]),
  one('rollback to a', 'unknown', 'CONTROLS_TRANSACTION', [
    { kind: 'savepoint', how: 'rollback', name: 'a' },
  ]),
  one('release a', 'unknown', 'CONTROLS_TRANSACTION', [{ kind: 'savepoint', how: 'release', name: 'a' }]),
  one('set local transaction_read_only = on', 'unknown', 'CONTROLS_TRANSACTION', [
    { kind: 'transaction-modes', modes: { readOnly: true }, snapshot: false },
  ]),
  one("set transaction snapshot '00000003-1'", 'unknown', 'CONTROLS_TRANSACTION', [
    { kind: 'transaction-modes', modes: {}, snapshot: true },
  ]),
  one('set session characteristics as transaction read only', 'unknown', 'CHANGES_SESSION', [
    { kind: 'session-modes', modes: { readOnly: true } },
  ]),
  one('set default_transaction_read_only = off', 'unknown', 'CHANGES_SESSION', [
    { kind: 'set', name: 'default_transaction_read_only', value: 'off', local: false },
  ]),
  one("set search_path to a, 'B'", 'unknown', 'CHANGES_SESSION', [
    { kind: 'set', name: 'search_path', value: 'a, B', local: false },
  ]),
  one('set local work_mem = 64', 'unknown', 'CHANGES_SESSION', [
    { kind: 'set', name: 'work_mem', value: '64', local: true },
  ]),
  one('set role reader', 'unknown', 'CHANGES_SESSION', [
    { kind: 'set', name: 'role', value: 'reader', local: false },
  ]),
  one('reset session authorization', 'unknown', 'CHANGES_SESSION', [
    { kind: 'set', name: 'session_authorization', local: false },
  ]),
  one('reset all', 'unknown', 'CHANGES_SESSION', [{ kind: 'reset-all' }]),
  one("set pg_metako.route = 'primary'", 'unknown', 'CHANGES_SESSION', [{ kind: 'route', to: 'primary' }]),
  one('set pg_metako.route to replica', 'unknown', 'CHANGES_SESSION', [{ kind: 'route', to: 'replica' }]),
  one("set pg_metako.consistency = 'eventual'", 'unknown', 'CHANGES_SESSION', [
    { kind: 'consistency', to: 'eventual' },
  ]),
  one('set pg_metako.consistency to strong', 'unknown', 'CHANGES_SESSION', [{ kind: 'consistency' }]),
  one('reset pg_metako.consistency', 'unknown', 'CHANGES_SESSION', [{ kind: 'consistency', to: 'default' }]),
  one('reset pg_metako.route', 'unknown', 'CHANGES_SESSION', [{ kind: 'route', to: 'auto' }]),
]
