/**
 * What drivers do through the router, and what comes of it: drivers × ports × pool modes × behaviours. Plain data, held by
 * `drivers.test.ts`; `docs/reference/drivers.md` is written from it.
 */

export const DRIVERS = ['node-postgres', 'postgres.js', 'JDBC', 'psycopg2', 'psycopg3'] as const
export type DriverName = (typeof DRIVERS)[number]

/** The three ports; the pooled one in each of its modes. */
export const PLACES = ['write', 'read', 'session', 'transaction', 'statement'] as const
export type PlaceName = (typeof PLACES)[number]

export const placeTitles: Readonly<Record<PlaceName, string>> = {
  write: '5433',
  read: '5434',
  session: '6432 session',
  transaction: '6432 transaction',
  statement: '6432 statement',
}

export type Json = null | boolean | number | string | readonly Json[]

/**
 * `value`: what the driver's program says. `fails`: with this SQLSTATE. `refused`: the router says this SQLSTATE and closes, and
 * drivers report the one or the other. `absent`: the driver has nothing of the kind. Each that is no `value` has its reason.
 */
export type Outcome =
  | { readonly kind: 'value'; readonly value: Json }
  | { readonly kind: 'limit'; readonly value: Json; readonly promise: string }
  | { readonly kind: 'fails'; readonly sqlState: string; readonly promise: string }
  | { readonly kind: 'refused'; readonly sqlState: string; readonly promise: string }
  | { readonly kind: 'absent'; readonly reason: string }

export type Behaviour = {
  readonly name: string
  /** What holds, where nothing else is said. */
  readonly promise: string
  readonly value: Json
  readonly places?: Partial<Record<PlaceName, Outcome>>
  /** Counts before `places`. */
  readonly drivers?: Partial<Record<DriverName, Outcome | Partial<Record<PlaceName, Outcome>>>>
}

const READ_ONLY: Outcome = {
  kind: 'fails',
  sqlState: '25006',
  promise: 'is refused by the standby, which takes no writes (25006)',
}
const NO_TRANSACTIONS: Outcome = {
  kind: 'refused',
  sqlState: '0A000',
  promise: 'is refused with its transaction block (0A000, then the connection ends), as by PgBouncer',
}
/** Where each statement may run elsewhere, and nothing is left to tell of what the session had there. */
const AS_TRANSACTION: Outcome = { kind: 'absent', reason: 'as in transaction mode' }
/** On every server that closes: it writes to a socket that it has given up. */
const POSTGRES_JS_ENDS: Behaviour['drivers'] = {
  'postgres.js': {
    statement: { kind: 'absent', reason: 'ends its process when a connection is closed in a transaction' },
  },
}
const absent = (reason: string): Outcome => ({ kind: 'absent', reason })
const limit = (value: Json, promise: string): Outcome => ({ kind: 'limit', value, promise })
const forgets = (sqlState: string, promise: string): Partial<Record<PlaceName, Outcome>> => ({
  transaction: { kind: 'fails', sqlState, promise },
  statement: AS_TRANSACTION,
})

export const behaviours: readonly Behaviour[] = [
  {
    name: 'parameters',
    promise: 'brings parameters there and back as they were: text, int, bigint, boolean, null',
    value: ['Grüße \'quoted\' \\ "€" 😀', 42, '9007199254740993', true, null],
  },
  {
    name: 'types',
    promise: 'brings numeric, timestamptz, arrays, jsonb and bytea there and back as they were',
    value: [
      '12345678901234567890.0123456789',
      '2026-11-30T12:34:56.789Z',
      [1, -2, 3],
      ['a', 'b"c', 'd,e\\f', null],
      'zwei',
      '00ff5c2780',
    ],
    drivers: {
      'postgres.js': limit(
        [
          '12345678901234567890.0123456789',
          '2026-11-30T12:34:56.789Z',
          [1, -2, 3],
          ['a', 'b"c', 'd,e\\f', 'NULL'],
          'zwei',
          '00ff5c2780',
        ],
        'brings types there and back; a null in an array is a text for this driver, without a router too',
      ),
    },
  },
  {
    name: 'many parameters',
    promise: 'sends a statement with 32 767 parameters',
    value: [32_767, 536_821_761],
  },
  {
    name: 'large rows',
    promise: 'sends 1 MB and receives it, four times in a row',
    value: [true, 4_194_304],
  },
  { name: 'empty query', promise: 'may send an empty query, and goes on', value: ['empty', 1] },
  {
    name: 'several statements',
    promise: 'sends several statements in one query and gets the results of all',
    value: [1, 2],
    drivers: { psycopg2: absent('shows the last result only') },
  },
  {
    name: 'implicit transaction',
    promise: 'several statements in one query are one transaction: an error takes all of them back',
    value: ['22012', 0],
    places: { read: READ_ONLY },
  },
  {
    name: 'pipeline',
    promise: 'sends twenty statements before it has read an answer, and gets them in order',
    value: [190, true],
    drivers: { psycopg2: absent('has no pipelining') },
  },
  {
    name: 'error in a pipeline',
    promise: 'gets the SQLSTATE of the statement of a pipeline that failed, and goes on',
    value: ['22012', 4],
    drivers: { psycopg2: absent('has no pipelining') },
  },
  {
    name: 'named statements',
    promise: 'uses named statements wherever its next transaction runs',
    value: [300, true],
    drivers: { psycopg2: absent('prepares nothing') },
  },
  {
    name: 'cursor',
    promise: 'declares a cursor in a transaction and fetches from it in pieces',
    value: [30, 30, 40],
    places: { statement: NO_TRANSACTIONS },
    drivers: POSTGRES_JS_ENDS,
  },
  {
    name: 'fetch size',
    promise: "reads a large result in pieces of the driver's own fetch size",
    value: [1000, 500_500],
    drivers: {
      JDBC: { statement: NO_TRANSACTIONS },
      psycopg2: { statement: NO_TRANSACTIONS },
      psycopg3: { statement: NO_TRANSACTIONS },
    },
  },
  {
    name: 'cursor with hold',
    promise: 'keeps a cursor WITH HOLD behind its transaction',
    value: [1, 2, 3],
    places: forgets(
      '34000',
      'loses a cursor WITH HOLD with its server connection (34000), as with PgBouncer',
    ),
  },
  {
    name: 'COPY in',
    promise: 'copies a thousand rows in',
    value: [1000, 500_500],
    places: { read: READ_ONLY },
  },
  { name: 'COPY out', promise: 'copies a thousand rows out', value: [1000, 3893] },
  {
    name: 'error in COPY',
    promise: 'gets the SQLSTATE of a COPY that failed, and goes on',
    value: ['22P02', 1],
    places: { read: READ_ONLY },
    drivers: { 'postgres.js': absent('never tells that a COPY has failed') },
  },
  {
    name: 'large objects',
    promise: 'writes a large object and reads it back',
    value: [100_000, true],
    places: { read: READ_ONLY, statement: NO_TRANSACTIONS },
    drivers: POSTGRES_JS_ENDS,
  },
  {
    name: 'errors',
    promise: 'gets the SQLSTATE of each error outside of a transaction, and goes on',
    value: ['22012', '42601', '42P01', '22P02', 1],
  },
  {
    name: 'errors in a transaction',
    promise: 'gets 25P02 in a transaction that failed until it ends it, and goes on',
    value: ['22012', '25P02', 1],
    places: { statement: NO_TRANSACTIONS },
    drivers: POSTGRES_JS_ENDS,
  },
  {
    name: 'transactions',
    promise: 'rolls back what it rolls back and commits what it commits',
    value: [0, 1],
    places: { read: READ_ONLY, statement: NO_TRANSACTIONS },
    drivers: POSTGRES_JS_ENDS,
  },
  {
    name: 'savepoints',
    promise: 'goes back to a savepoint after an error and keeps what was before',
    value: ['23505', 2],
    places: { read: READ_ONLY, statement: NO_TRANSACTIONS },
    drivers: POSTGRES_JS_ENDS,
  },
  {
    name: 'cancel',
    promise: 'cancels a running query (57014), and goes on',
    value: ['57014', 1],
  },
  {
    name: 'tracked settings',
    promise: 'SET of what PostgreSQL reports survives wherever its next transaction runs',
    value: ['drivers', 'Asia/Tokyo', 'sql_standard'],
  },
  {
    name: 'other settings',
    promise: 'SET of what PostgreSQL does not report survives',
    value: '77s',
    places: {
      transaction: limit('0', 'SET of what PostgreSQL does not report is lost with the server connection'),
      statement: AS_TRANSACTION,
    },
  },
  {
    name: 'LISTEN',
    promise: 'listens and gets a notification',
    value: 'hello',
    places: {
      read: READ_ONLY,
      transaction: limit(null, 'LISTEN stays behind on the server connection, as with PgBouncer'),
      statement: AS_TRANSACTION,
    },
  },
  {
    name: 'temporary table',
    promise: 'keeps a temporary table',
    value: 1,
    places: {
      read: READ_ONLY,
      ...forgets('42P01', 'loses a temporary table with its server connection (42P01), as with PgBouncer'),
    },
  },
  {
    name: 'wrong password',
    promise: 'is refused with a wrong password (28P01) where SCRAM lets in with the right one',
    value: ['28P01', 'app'],
  },
  {
    name: 'restart of the server',
    promise: 'a session ends with a restart of PostgreSQL, and the next one works',
    value: ['lost', 1],
    places: {
      read: limit(['kept', 1], 'a session of the replica outlives a restart of the primary'),
      transaction: limit(['kept', 1], 'a client that was idle does not notice a restart of PostgreSQL'),
      statement: limit(['kept', 1], 'a client that was idle does not notice a restart of PostgreSQL'),
    },
  },
]

export function outcomeOf(behaviour: Behaviour, driver: DriverName, place: PlaceName): Outcome {
  const own = behaviour.drivers?.[driver]
  const ofDriver = own && 'kind' in own ? own : own?.[place]
  return ofDriver ?? behaviour.places?.[place] ?? { kind: 'value', value: behaviour.value }
}
