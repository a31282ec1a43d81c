import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PGBOUNCER_SETTINGS } from '../../model/pgbouncer-setting.ts'
import { describeConfig } from '../describe-config.ts'
import { loadConfig } from '../load-config.ts'

const NODE = `
identity: {node_name: node1}
local_db: {password: a-password}
security: {cluster_secret: a-secret-of-the-cluster}
postgresql: {data_dir: /data}
pool: {pgbouncer_ini: pgbouncer.ini}
`
const HIDDEN = 'Qz81kk-hidden'

const name = fc.oneof(
  fc.constantFrom(...PGBOUNCER_SETTINGS.map((setting) => setting.name), '*', 'app', '"a ""b"""', 'pgbouncer'),
  fc.string({ maxLength: 12 }),
)
const pair = fc
  .tuple(
    fc.constantFrom(
      'host',
      'port',
      'dbname',
      'user',
      'pool_size',
      'pool_mode',
      'connect_query',
      'timezone',
      'x',
    ),
    fc.constantFrom('=', ' = ', "='", '=='),
    fc.oneof(fc.constantFrom('', '5', '-1', "it''s", "a b'", '127.0.0.1'), fc.string({ maxLength: 8 })),
  )
  .map((parts) => parts.join(''))
const value = fc.oneof(
  fc.array(pair, { maxLength: 3 }).map((pairs) => [...pairs, `password=${HIDDEN}`].join(' ')),
  fc.constantFrom('', '1', '0x10', '1e9', '-1', 'session', 'any', 'md5', 'a,b'),
  fc.string({ maxLength: 20, unit: 'binary' }),
)
const setting = fc.tuple(name, fc.constantFrom('=', ' = ', ' '), value).map((parts) => parts.join(''))
const line = fc.oneof(
  { weight: 5, arbitrary: setting },
  fc.constantFrom('[pgbouncer]', '[databases]', '[users]', '[peers]', '[x', '%include pgbouncer.ini', '; c'),
)

describe('any file at all', () => {
  it('is taken or refused with places in it, never thrown at, and shows no password of a database', () => {
    const seen = { ok: 0, refused: 0 }
    fc.assert(
      fc.property(
        fc.constantFrom('[databases]', '[pgbouncer]', '[users]'),
        fc.array(line),
        (section, lines) => {
          const ini = [section, ...lines].join('\n')
          const loaded = loadConfig({
            path: 'node.yaml',
            readText: (path) => (path === 'node.yaml' ? NODE : ini),
            env: {},
          })
          seen[loaded.kind] += 1
          const inDatabases = !/^\[(?!databases)/m.test(ini)
          if (inDatabases) expect(describeConfig(loaded)).not.toContain(HIDDEN)
          if (loaded.kind === 'ok') return
          const errors = loaded.problems.filter(({ severity }) => severity === 'error')
          expect(errors.length).toBeGreaterThan(0)
          for (const { line: at, remedy } of errors) expect([at > 0, remedy !== '']).toEqual([true, true])
        },
      ),
      { numRuns: 300, endOnFailure: true },
    )
    expect(Math.min(seen.ok, seen.refused)).toBeGreaterThan(0)
  })
})
