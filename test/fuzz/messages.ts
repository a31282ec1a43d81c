import { message } from '../../src/wire/frame.ts'
import {
  buildBackendKey,
  buildCancelRequest,
  buildGssRequest,
  buildSslRequest,
  buildStartup,
} from '../../src/wire/startup.ts'

/** Messages as clients and servers send them, and what a broken or hostile one makes of them: both depend on the seed alone. */

export type Random = () => number

export function below(random: Random, limit: number): number {
  return Math.floor(random() * limit)
}

export function pick<T>(random: Random, list: readonly T[]): T {
  return list[below(random, list.length)] as T
}

export function randomBytes(random: Random, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  for (let at = 0; at < length; at += 1) bytes[at] = below(random, 256)
  return bytes
}

const text = (...words: readonly string[]): Buffer => Buffer.from(words.map((word) => `${word}\0`).join(''))
const numbers = (...values: readonly number[]): Buffer => {
  const bytes = Buffer.alloc(2 * values.length)
  for (const [index, value] of values.entries()) bytes.writeInt16BE(value, 2 * index)
  return bytes
}
const long = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

const STATEMENTS = [
  'select 1',
  '',
  ';',
  'select 1; select 2',
  'begin',
  'rollback',
  'select 1/0',
  'selec',
  "set application_name = 'fuzz'",
  'create temp table if not exists fuzz (n int)',
  'copy fuzz from stdin',
  'copy (select generate_series(1, 100)) to stdout',
  'select repeat($1::text, 3)',
  'discard all',
  'deallocate all',
  'savepoint a',
  "select 'ü'",
] as const
const NAMES = ['', '', 'a', 'b', 's_1', 'pg_metako_1', 'pg_metako_none', 'x'.repeat(70)] as const

/** What a client sends after it has logged in. */
const clientMessages: readonly ((random: Random) => Buffer)[] = [
  (random) => message('Q', text(pick(random, STATEMENTS))),
  (random) => message('P', Buffer.concat([text(pick(random, NAMES), pick(random, STATEMENTS)), numbers(0)])),
  (random) => message('B', Buffer.concat([text(pick(random, NAMES), pick(random, NAMES)), numbers(0, 0, 0)])),
  (random) =>
    message(
      'B',
      Buffer.concat([text('', pick(random, NAMES)), numbers(0, 1), long(3), Buffer.from('abc'), numbers(0)]),
    ),
  (random) => message('D', text(`${pick(random, ['S', 'P'])}${pick(random, NAMES)}`)),
  (random) => message('C', text(`${pick(random, ['S', 'P'])}${pick(random, NAMES)}`)),
  (random) => message('E', Buffer.concat([text(pick(random, NAMES)), long(below(random, 3))])),
  () => message('S', Buffer.alloc(0)),
  () => message('S', Buffer.alloc(0)),
  () => message('H', Buffer.alloc(0)),
  (random) => message('d', Buffer.from(`${below(random, 100)}\n`)),
  () => message('c', Buffer.alloc(0)),
  () => message('f', text('no more')),
  (random) => message('F', Buffer.concat([long(below(random, 3000)), numbers(0, 0, 0)])),
]

const proofs: readonly ((random: Random) => Buffer)[] = [
  () => message('p', text('secret')),
  () =>
    message('p', Buffer.concat([text('SCRAM-SHA-256'), long(26), Buffer.from('n,,n=,r=fyko+d2lbbFgONRv9')])),
  () => message('p', Buffer.from(`c=biws,r=fyko+d2lbbFgONRv9,p=${Buffer.alloc(32).toString('base64')}`)),
]

const serverMessages: readonly ((random: Random) => Buffer)[] = [
  (random) => message('R', long(pick(random, [0, 3, 5, 7, 10, 11, 12]))),
  () => message('R', Buffer.concat([long(10), text('SCRAM-SHA-256', '')])),
  () => message('S', text('TimeZone', 'Asia/Tokyo')),
  () => buildBackendKey({ processId: 7, secret: Buffer.alloc(4) }),
  (random) => message('Z', Buffer.from(pick(random, ['I', 'T', 'E']))),
  () => message('E', text('SERROR', 'C22012', 'Mdivision by zero', '')),
  () => message('N', text('SWARNING', 'C01000', 'Mcareful', 'RSyncRepWaitForLSN', '')),
  (random) => message('C', text(pick(random, ['SELECT 1', 'DISCARD ALL', 'DEALLOCATE ALL']))),
  () => message('T', Buffer.concat([numbers(1), text('n'), Buffer.alloc(18)])),
  () => message('D', Buffer.concat([numbers(2), long(2), Buffer.from('42'), long(-1)])),
  (random) => message(pick(random, ['1', '2', '3', 'n', 's', 'I', 'c']), Buffer.alloc(0)),
  () => message('G', Buffer.concat([Buffer.from([0]), numbers(1, 0)])),
  () => message('t', numbers(0)),
  () => message('A', Buffer.concat([long(7), text('channel', 'payload')])),
  () => message('d', Buffer.concat([Buffer.from('n'), text('base.tar', '')])),
]

const startups: readonly ((random: Random) => Buffer)[] = [
  (random) => buildStartup({ user: pick(random, ['app', 'trusty', 'nobody', '']) || 'x', database: 'app' }),
  () => buildStartup({ user: 'app', database: 'app', '_pq_.fuzz': '1', options: '-c x=1' }, { minor: 2 }),
  (random) => buildStartup({ user: 'app', replication: pick(random, ['true', 'database', 'off']) }),
  () => buildSslRequest(),
  () => buildGssRequest(),
  (random) =>
    buildCancelRequest({
      processId: below(random, 100_000),
      secret: randomBytes(random, pick(random, [4, 32])),
    }),
]

export const clientMessage = (random: Random): Buffer => pick(random, clientMessages)(random)
export const proofMessage = (random: Random): Buffer => pick(random, proofs)(random)
export const startupPacket = (random: Random): Buffer => pick(random, startups)(random)
export const anyMessage = (random: Random): Buffer =>
  pick(random, pick(random, [clientMessages, serverMessages, proofs]))(random)

const LENGTHS = [0, 1, 3, 4, 5, 8, 255, 256, 10_000, 65_535, 65_536, 0x100_0000, 0x4000_0000, 0x7fff_ffff, -1]

type Mutation = (random: Random, bytes: Buffer) => Buffer

const mutations: readonly Mutation[] = [
  (random, bytes) => {
    for (let count = 1 + below(random, 4); count > 0; count -= 1) {
      bytes[below(random, bytes.length)] = below(random, 256)
    }
    return bytes
  },
  (random, bytes) => bytes.subarray(0, below(random, bytes.length)),
  (random, bytes) => Buffer.concat([bytes, randomBytes(random, 1 + below(random, 40))]),
  wrongLength,
  wrongLength,
  (random, bytes) => {
    bytes[0] = below(random, 256)
    return bytes
  },
  (random, bytes) => {
    const from = below(random, bytes.length)
    return Buffer.concat([bytes, bytes.subarray(from, from + below(random, 20))])
  },
  (random, bytes) => {
    const at = below(random, bytes.length)
    return Buffer.concat([bytes.subarray(0, at), randomBytes(random, below(random, 9)), bytes.subarray(at)])
  },
  (random, bytes) => Buffer.from(bytes.map((byte) => (byte === 0 && random() < 0.3 ? 0x20 : byte))),
  (random, bytes) => {
    if (bytes.length < 7) return bytes
    bytes.writeInt16BE(pick(random, [-1, 0, 1, 0x7fff, -0x8000]), 5 + below(random, bytes.length - 6))
    return bytes
  },
]

function wrongLength(random: Random, bytes: Buffer): Buffer {
  const at = bytes[0] === 0 ? 0 : 1
  if (bytes.length < at + 4) return bytes
  const near = bytes.readInt32BE(at) + below(random, 9) - 4
  bytes.writeInt32BE(random() < 0.5 ? near | 0 : pick(random, LENGTHS), at)
  return bytes
}

/** A changed copy. */
export function mutate(random: Random, original: Buffer): Buffer {
  if (original.length === 0) return original
  return pick(random, mutations)(random, Buffer.from(original))
}
