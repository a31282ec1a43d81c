import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import * as common from './program.mjs'

/** node-postgres, with pg-copy-streams as its users have it. */
const { failureOf, serve, sum, until } = common

/** @typedef {import('./program.mjs').Place} Place */

/** @type {pg.Client[]} */
const opened = []
/** @type {Map<string, pg.Client>} */
const kept = new Map()

/**
 * @param {Place} at
 * @param {pg.ClientConfig & { pipeline?: boolean }} [changes]
 */
function clientOf(at, changes = {}) {
  const { HOST: host, DATABASE: database, PASSWORD: password } = common
  const client = new pg.Client({ host, port: at.port, user: at.user, password, database, ...changes })
  client.on('error', () => {})
  return client
}

/**
 * @param {Place} at
 * @param {pg.ClientConfig & { pipeline?: boolean }} [changes]
 */
async function open(at, changes = {}) {
  const client = clientOf(at, changes)
  opened.push(client)
  await client.connect()
  return client
}

async function closeAll() {
  await Promise.allSettled(opened.splice(0).map((client) => client.end()))
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
    const other = await open(at)
    others.push(other)
    await other.query('begin')
    await other.query('select 1')
  }
  const value = await act()
  for (const other of others) await other.query('rollback')
  return value
}

/**
 * @param {pg.Client} client
 * @param {string | pg.QueryConfig} query
 * @param {unknown[]} [values]
 */
async function one(client, query, values) {
  const { rows } = await client.query(query, values)
  return rows[0]?.v
}

/**
 * @param {pg.Client} client
 * @param {Place} at
 */
async function tableOf(client, at) {
  await client.query(`create table ${at.tag} (n int primary key)`)
  return at.tag
}

const countOf = (/** @type {pg.Client} */ client, /** @type {string} */ table) =>
  one(client, `select count(*)::int as v from ${table}`)

/** @type {Readonly<Record<string, (at: Place) => Promise<any>>>} */
const behaviours = {
  async parameters(at) {
    const client = await open(at)
    const text = 'select $1::text as a, $2::int as b, $3::bigint as c, $4::boolean as d, $5::text as e'
    const { rows } = await client.query(text, [common.TEXT, 42, '9007199254740993', true, null])
    return Object.values(rows[0])
  },
  async types(at) {
    const client = await open(at)
    const text =
      'select $1::numeric as a, $2::timestamptz as b, $3::int[] as c, $4::text[] as d, $5::jsonb as e, $6::bytea as f'
    const values = [
      common.NUMERIC,
      new Date(common.INSTANT),
      [1, -2, 3],
      common.TEXTS,
      { k: [1, 'zwei'] },
      common.BYTES,
    ]
    const [row] = (await client.query(text, values)).rows
    return [row.a, row.b.toISOString(), row.c, row.d, row.e.k[1], row.f.toString('hex')]
  },
  async 'many parameters'(at) {
    const client = await open(at)
    const [row] = (await client.query(common.MANY_SQL, common.manyParameters)).rows
    return [row.count, row.sum]
  },
  async 'large rows'(at) {
    const client = await open(at)
    const { rows } = await client.query('select $1::text as v from generate_series(1, 4)', [common.LARGE])
    return [rows.every((row) => row.v === common.LARGE), sum(rows.map((row) => row.v.length))]
  },
  async 'empty query'(at) {
    const client = await open(at)
    const { rows } = await client.query('')
    return [rows.length === 0 ? 'empty' : 'rows', await one(client, 'select 1 as v')]
  },
  async 'several statements'(at) {
    const client = await open(at)
    const results = /** @type {unknown} */ (await client.query('select 1 as v; select 2 as v'))
    return /** @type {pg.QueryResult[]} */ (results).map(({ rows }) => rows[0].v)
  },
  async 'implicit transaction'(at) {
    const client = await open(at)
    const table = await tableOf(client, at)
    const code = await failureOf(client.query(`insert into ${table} values (1); select 1/0`))
    return [code, await countOf(client, table)]
  },
  async pipeline(at) {
    const client = await open(at, { pipeline: true })
    const numbers = Array.from({ length: 20 }, (_, index) => index)
    const got = await Promise.all(numbers.map((n) => one(client, 'select $1::int as v', [n])))
    return [sum(got), got.every((value, index) => value === index)]
  },
  async 'error in a pipeline'(at) {
    const client = await open(at, { pipeline: true })
    const [, code] = await Promise.all([
      client.query('select 1'),
      failureOf(client.query('select 1/$1::int', [0])),
      client.query('select 3'),
    ])
    return [code, await one(client, 'select 4 as v')]
  },
  async 'named statements'(at) {
    const client = await open(at)
    const twelve = async (/** @type {number} */ from) => {
      const got = []
      for (let n = from; n < from + 12; n += 1) {
        got.push(await one(client, { name: 'plus', text: 'select $1::int + 1 as v', values: [n] }))
      }
      return sum(got)
    }
    const first = await twelve(0)
    return displaced(at, async () => [
      first + (await twelve(12)),
      await one(client, 'select count(*) > 0 as v from pg_prepared_statements'),
    ])
  },
  async cursor(at) {
    const client = await open(at)
    await client.query('begin')
    await client.query('declare c cursor for select generate_series(1, 100)')
    const counts = []
    for (const much of ['30', '30', 'all']) counts.push((await client.query(`fetch ${much} from c`)).rowCount)
    await client.query('close c')
    await client.query('commit')
    return counts
  },
  async 'fetch size'(at) {
    const client = await open(at)
    const { rows } = await client.query(
      /** @type {any} */ ({ text: 'select n as v from generate_series(1, 1000) as n', rows: 100 }),
    )
    return [rows.length, sum(rows.map((/** @type {{ v: number }} */ row) => row.v))]
  },
  async 'cursor with hold'(at) {
    const client = await open(at)
    await client.query(`declare ${at.tag} cursor with hold for select generate_series(1, 3) as v`)
    return displaced(at, async () =>
      (await client.query(`fetch all from ${at.tag}`)).rows.map((row) => row.v),
    )
  },
  async 'COPY in'(at) {
    const client = await open(at)
    const table = await tableOf(client, at)
    const lines = Array.from({ length: 1000 }, (_, index) => `${index + 1}\n`)
    await pipeline(Readable.from(lines), client.query(copyFrom(`copy ${table} from stdin`)))
    const { rows } = await client.query(`select count(*)::int as count, sum(n)::int as sum from ${table}`)
    return [rows[0].count, rows[0].sum]
  },
  async 'COPY out'(at) {
    const client = await open(at)
    const pieces = []
    for await (const piece of client.query(copyTo('copy (select generate_series(1, 1000)) to stdout'))) {
      pieces.push(piece)
    }
    const text = Buffer.concat(pieces).toString()
    return [text.split('\n').length - 1, text.length]
  },
  async 'error in COPY'(at) {
    const client = await open(at)
    const table = await tableOf(client, at)
    const copy = client.query(copyFrom(`copy ${table} from stdin`))
    return [await failureOf(pipeline(Readable.from(['x\n']), copy)), await one(client, 'select 1 as v')]
  },
  async 'large objects'(at) {
    const client = await open(at)
    const bytes = Buffer.alloc(100_000, 'large')
    await client.query('begin')
    const oid = await one(client, 'select lo_from_bytea(0, $1) as v', [bytes])
    const got = await one(client, 'select lo_get($1) as v', [oid])
    await client.query('commit')
    return [got.length, bytes.equals(got)]
  },
  async errors(at) {
    const client = await open(at)
    const codes = []
    for (const text of ['select 1/0', 'selec', 'select * from nowhere', "select 'x'::int"]) {
      codes.push(await failureOf(client.query(text)))
    }
    return [...codes, await one(client, 'select 1 as v')]
  },
  async 'errors in a transaction'(at) {
    const client = await open(at)
    await client.query('begin')
    const codes = [await failureOf(client.query('select 1/0')), await failureOf(client.query('select 1'))]
    await client.query('rollback')
    return [...codes, await one(client, 'select 1 as v')]
  },
  async transactions(at) {
    const client = await open(at)
    const counts = []
    const table = await tableOf(client, at)
    for (const end of ['rollback', 'commit']) {
      await client.query('begin')
      await client.query(`insert into ${table} values ($1)`, [1])
      await client.query(end)
      counts.push(await countOf(client, table))
    }
    return counts
  },
  async savepoints(at) {
    const client = await open(at)
    await client.query('begin')
    const table = await tableOf(client, at)
    await client.query(`insert into ${table} values (1)`)
    await client.query('savepoint one')
    const code = await failureOf(client.query(`insert into ${table} values (1)`))
    await client.query('rollback to savepoint one')
    await client.query(`insert into ${table} values (2)`)
    await client.query('commit')
    return [code, await countOf(client, table)]
  },
  async cancel(at) {
    const client = await open(at)
    const watcher = await open(at)
    const query = new pg.Query(`select pg_sleep(60) /* ${at.tag} */`)
    const failure = failureOf(
      new Promise((resolve, reject) => {
        query.on('error', reject)
        query.on('end', resolve)
      }),
    )
    client.query(query)
    const running = "select true as v from pg_stat_activity where query like $1 and state = 'active'"
    await until(() => one(watcher, running, [`select pg_sleep%${at.tag}%`]))
    const canceller = /** @type {any} */ (clientOf(at))
    canceller.cancel(client, query)
    return [await failure, await one(client, 'select 1 as v')]
  },
  async 'tracked settings'(at) {
    const client = await open(at)
    await client.query("set application_name = 'drivers'")
    await client.query("set timezone = 'Asia/Tokyo'")
    await client.query('set intervalstyle = sql_standard')
    return displaced(at, async () => {
      const names = ['application_name', 'timezone', 'intervalstyle']
      const got = []
      for (const name of names) got.push(await one(client, 'select current_setting($1) as v', [name]))
      return got
    })
  },
  async 'other settings'(at) {
    const client = await open(at)
    await client.query("set statement_timeout = '77s'")
    return displaced(at, () => one(client, "select current_setting('statement_timeout') as v"))
  },
  async LISTEN(at) {
    const client = await open(at)
    /** @type {string | undefined} */
    let heard
    client.on('notification', ({ payload }) => {
      heard = payload
    })
    await client.query(`listen ${at.tag}`)
    const teller = await open(at)
    await displaced(at, () => teller.query(`notify ${at.tag}, 'hello'`))
    if (at.place !== 'transaction') return until(async () => heard)
    await client.query('select 1')
    return heard ?? null
  },
  async 'temporary table'(at) {
    const client = await open(at)
    await client.query(`create temporary table ${at.tag} as select 1 as v`)
    return displaced(at, () => one(client, `select v from ${at.tag}`))
  },
  async 'wrong password'(at) {
    const code = await failureOf(open(at, { password: 'wrong' }))
    return [code, await one(await open(at), 'select current_database() as v')]
  },
  async 'before the restart'(at) {
    const client = clientOf(at)
    await client.connect()
    await client.query("set application_name = 'kept'")
    kept.set(at.tag, client)
    return true
  },
  async 'after the restart'(at) {
    const client = /** @type {pg.Client} */ (kept.get(at.tag))
    opened.push(client)
    const text = "select current_setting('application_name') as v"
    const name = await one(client, text).catch(() => 'lost')
    return [name === 'kept' ? 'kept' : 'lost', await one(await open(at), 'select 1 as v')]
  },
}

await serve(behaviours, closeAll)
