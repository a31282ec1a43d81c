import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import postgres from 'postgres'
import * as common from './program.mjs'

/** postgres.js, as it comes: it asks for types when it connects, prepares every statement and pipelines. */
const { failureOf, serve, sum, until } = common

/**
 * @typedef {import('./program.mjs').Place} Place
 * @typedef {postgres.Sql<{}>} Sql
 */

/** @type {Sql[]} */
const opened = []
/** @type {Map<string, Sql>} */
const kept = new Map()

/**
 * @param {Place} at
 * @param {postgres.Options<{}>} [changes]
 */
function clientOf(at, changes = {}) {
  const { HOST: host, DATABASE: database, PASSWORD: password } = common
  const { port, user } = at
  return postgres({ host, port, user, password, database, max: 1, onnotice: () => {}, ...changes })
}

/**
 * @param {Place} at
 * @param {postgres.Options<{}>} [changes]
 */
function open(at, changes) {
  const sql = clientOf(at, changes)
  opened.push(sql)
  return sql
}

async function closeAll() {
  await Promise.allSettled(opened.splice(0).map((sql) => sql.end({ timeout: 1 })))
}

/**
 * Does something while another client has the server connection that this one had last.
 * @template T
 * @param {Place} at
 * @param {() => Promise<T>} act
 */
async function displaced(at, act) {
  if (at.place === 'statement') return act()
  const others = []
  for (let count = 0; count < common.displacersAt(at); count += 1) {
    const other = open(at)
    others.push(other)
    await other.unsafe('begin')
    await other`select 1`
  }
  const value = await act()
  for (const other of others) await other.unsafe('rollback')
  return value
}

/**
 * @param {Sql} sql
 * @param {Place} at
 */
async function makeTable(sql, at) {
  await sql.unsafe(`create table ${at.tag} (n int primary key)`)
}

/**
 * @param {Sql} sql
 * @param {Place} at
 */
async function countOf(sql, at) {
  const [row] = await sql`select count(*)::int as v from ${sql(at.tag)}`
  return row?.['v']
}

/** @type {Readonly<Record<string, (at: Place) => Promise<any>>>} */
const behaviours = {
  async parameters(at) {
    const sql = open(at)
    const [row = {}] =
      await sql`select ${common.TEXT}::text as a, ${42}::int as b, ${'9007199254740993'}::bigint as c, ${true}::boolean as d, ${null}::text as e`
    return Object.values(row)
  },
  async types(at) {
    const sql = open(at)
    const [row = {}] = await sql`select ${common.NUMERIC}::numeric as a,
      ${new Date(common.INSTANT)}::timestamptz as b, ${[1, -2, 3]}::int[] as c, ${common.TEXTS}::text[] as d,
      ${sql.json({ k: [1, 'zwei'] })}::jsonb as e, ${common.BYTES}::bytea as f`
    return [row.a, row.b.toISOString(), row.c, row.d, row.e.k[1], Buffer.from(row.f).toString('hex')]
  },
  async 'many parameters'(at) {
    const [row] = await open(at).unsafe(common.MANY_SQL, common.manyParameters)
    return [row?.['count'], row?.['sum']]
  },
  async 'large rows'(at) {
    const rows = await open(at)`select ${common.LARGE}::text as v from generate_series(1, 4)`
    return [rows.every((row) => row['v'] === common.LARGE), sum(rows.map((row) => row['v'].length))]
  },
  async 'empty query'(at) {
    const sql = open(at)
    const rows = await sql.unsafe('')
    return [rows.length === 0 ? 'empty' : 'rows', (await sql`select 1 as v`)[0]?.['v']]
  },
  async 'several statements'(at) {
    const results = await open(at).unsafe('select 1 as v; select 2 as v').simple()
    return results.map((rows) => /** @type {any} */ (rows)[0].v)
  },
  async 'implicit transaction'(at) {
    const sql = open(at)
    await makeTable(sql, at)
    const code = await failureOf(sql.unsafe(`insert into ${at.tag} values (1); select 1/0`).simple())
    return [code, await countOf(sql, at)]
  },
  async pipeline(at) {
    const sql = open(at)
    const numbers = Array.from({ length: 20 }, (_, index) => index)
    const got = await Promise.all(numbers.map(async (n) => (await sql`select ${n}::int as v`)[0]?.['v']))
    return [sum(got), got.every((value, index) => value === index)]
  },
  async 'error in a pipeline'(at) {
    const sql = open(at)
    const [, code] = await Promise.all([sql`select 1`, failureOf(sql`select 1/${0}::int`), sql`select 3`])
    return [code, (await sql`select 4 as v`)[0]?.['v']]
  },
  async 'named statements'(at) {
    const sql = open(at)
    const twelve = async (/** @type {number} */ from) => {
      const got = []
      for (let n = from; n < from + 12; n += 1) got.push((await sql`select ${n}::int + 1 as v`)[0]?.['v'])
      return sum(got)
    }
    const first = await twelve(0)
    return displaced(at, async () => [
      first + (await twelve(12)),
      (await sql`select count(*) > 0 as v from pg_prepared_statements`)[0]?.['v'],
    ])
  },
  async cursor(at) {
    return open(at).begin(async (sql) => {
      await sql`declare c cursor for select generate_series(1, 100)`
      const counts = []
      for (const much of ['30', '30', 'all']) counts.push((await sql.unsafe(`fetch ${much} from c`)).count)
      await sql`close c`
      return counts
    })
  },
  async 'fetch size'(at) {
    const sql = open(at)
    /** @type {number[]} */
    const got = []
    await sql`select n as v from generate_series(1, 1000) as n`.cursor(100, (rows) => {
      got.push(...rows.map((row) => row['v']))
    })
    return [got.length, sum(got)]
  },
  async 'cursor with hold'(at) {
    const sql = open(at)
    await sql.unsafe(`declare ${at.tag} cursor with hold for select generate_series(1, 3) as v`)
    return displaced(at, async () => (await sql.unsafe(`fetch all from ${at.tag}`)).map((row) => row['v']))
  },
  async 'COPY in'(at) {
    const sql = open(at)
    await makeTable(sql, at)
    const lines = Array.from({ length: 1000 }, (_, index) => `${index + 1}\n`)
    await pipeline(Readable.from(lines), await sql`copy ${sql(at.tag)} from stdin`.writable())
    const [row] = await sql`select count(*)::int as count, sum(n)::int as sum from ${sql(at.tag)}`
    return [row?.['count'], row?.['sum']]
  },
  async 'COPY out'(at) {
    const pieces = []
    const source = await open(at)`copy (select generate_series(1, 1000)) to stdout`.readable()
    for await (const piece of source) pieces.push(piece)
    const text = Buffer.concat(pieces).toString()
    return [text.split('\n').length - 1, text.length]
  },
  async 'large objects'(at) {
    const bytes = Buffer.alloc(100_000, 'large')
    const got = await open(at).begin(async (sql) => {
      const [made] = await sql`select lo_from_bytea(0, ${bytes}) as v`
      return (await sql`select lo_get(${made?.['v']}) as v`)[0]?.['v']
    })
    return [got.length, bytes.equals(got)]
  },
  async errors(at) {
    const sql = open(at)
    const codes = []
    for (const text of ['select 1/0', 'selec', 'select * from nowhere', "select 'x'::int"]) {
      codes.push(await failureOf(sql.unsafe(text)))
    }
    return [...codes, (await sql`select 1 as v`)[0]?.['v']]
  },
  async 'errors in a transaction'(at) {
    const sql = open(at)
    await sql.unsafe('begin')
    const codes = [await failureOf(sql`select 1/0`), await failureOf(sql`select 1`)]
    await sql.unsafe('rollback')
    return [...codes, (await sql`select 1 as v`)[0]?.['v']]
  },
  async transactions(at) {
    const sql = open(at)
    await makeTable(sql, at)
    const counts = []
    const failure = await failureOf(
      sql.begin(async (inner) => {
        await inner`insert into ${sql(at.tag)} values (${1})`
        throw Object.assign(new Error('on purpose'), { code: 'MINE1' })
      }),
    )
    if (failure !== 'MINE1') throw Object.assign(new Error(failure), { code: failure })
    counts.push(await countOf(sql, at))
    await sql.begin((inner) => inner`insert into ${sql(at.tag)} values (${1})`)
    return [...counts, await countOf(sql, at)]
  },
  async savepoints(at) {
    const sql = open(at)
    const code = await sql.begin(async (inner) => {
      await inner.unsafe(`create table ${at.tag} (n int primary key)`)
      await inner`insert into ${sql(at.tag)} values (1)`
      const failure = await failureOf(
        inner.savepoint((deeper) => deeper`insert into ${sql(at.tag)} values (1)`),
      )
      await inner`insert into ${sql(at.tag)} values (2)`
      return failure
    })
    return [code, await countOf(sql, at)]
  },
  async cancel(at) {
    const sql = open(at)
    const watcher = open(at)
    const query = sql.unsafe(`select pg_sleep(60) /* ${at.tag} */`)
    const failure = failureOf(query)
    await until(async () => {
      const rows =
        await watcher`select 1 from pg_stat_activity where query like ${`select pg_sleep%${at.tag}%`} and state = 'active'`
      return rows.length > 0
    })
    query.cancel()
    return [await failure, (await sql`select 1 as v`)[0]?.['v']]
  },
  async 'tracked settings'(at) {
    const sql = open(at)
    await sql`set application_name = 'drivers'`
    await sql`set timezone = 'Asia/Tokyo'`
    await sql`set intervalstyle = sql_standard`
    return displaced(at, async () => {
      const names = ['application_name', 'timezone', 'intervalstyle']
      const got = []
      for (const name of names) got.push((await sql`select current_setting(${name}) as v`)[0]?.['v'])
      return got
    })
  },
  async 'other settings'(at) {
    const sql = open(at)
    await sql`set statement_timeout = '77s'`
    return displaced(at, async () => (await sql`select current_setting('statement_timeout') as v`)[0]?.['v'])
  },
  async LISTEN(at) {
    const sql = open(at)
    /** @type {string | undefined} */
    let heard
    await sql.listen(at.tag, (payload) => {
      heard = payload
    })
    const teller = open(at)
    await displaced(at, () => teller.unsafe(`notify ${at.tag}, 'hello'`))
    if (at.place !== 'transaction') return until(async () => heard)
    await sql`select 1`
    return heard ?? null
  },
  async 'temporary table'(at) {
    const sql = open(at)
    await sql.unsafe(`create temporary table ${at.tag} as select 1 as v`)
    return displaced(at, async () => (await sql.unsafe(`select v from ${at.tag}`))[0]?.['v'])
  },
  async 'wrong password'(at) {
    const code = await failureOf(open(at, { password: 'wrong' })`select 1`)
    return [code, (await open(at)`select current_database() as v`)[0]?.['v']]
  },
  async 'before the restart'(at) {
    const sql = clientOf(at)
    await sql`set application_name = 'kept'`
    kept.set(at.tag, sql)
    return true
  },
  async 'after the restart'(at) {
    const sql = /** @type {Sql} */ (kept.get(at.tag))
    opened.push(sql)
    const [row] = await sql`select current_setting('application_name') as v`.catch(() => [])
    const isKept = row?.['v'] === 'kept'
    return [isKept ? 'kept' : 'lost', (await open(at)`select 1 as v`)[0]?.['v']]
  },
}

await serve(behaviours, closeAll)
