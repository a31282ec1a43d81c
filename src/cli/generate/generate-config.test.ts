import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FakeWorld } from '../../../test/support/fake-world.ts'
import { loadConfig, type LoadedConfig } from '../../config/load-config.ts'
import type { ServerAddress, ServerDescription } from '../../model/server-description.ts'
import { run } from '../run.ts'
import { serverAddress } from './server-address.ts'

const FOUND: ServerDescription = {
  dataDir: '/var/lib/postgresql/15/main',
  binDir: '/usr/lib/postgresql/15/bin',
  listenAddresses: '*',
  port: 5433,
  clusterName: '15-main',
  encoding: 'UTF8',
  walSegmentBytes: 16_777_216,
  parameters: {
    max_connections: '200',
    shared_buffers: '128MB',
    archive_command: "cp %p '/archive/%f'",
    log_line_prefix: '%m [%p] # "x" ',
    'my.setting': 'on',
  },
  left: [{ name: 'port', reason: 'it is set from local_db.port' }],
  hba: ['local all postgres peer', 'host all all 10.0.0.0/8 scram-sha-256'],
}

let folder: string
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'metako-generate-'))))
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const load = (text: string): LoadedConfig =>
  loadConfig({ path: '/etc/patroni.yml', readText: () => text, env: {}, fileExists: () => true })

async function generate(
  words: readonly string[],
  found?: ServerDescription,
  env: Record<string, string> = {},
) {
  const world = new FakeWorld({ cwd: folder, env })
  const asked: ServerAddress[] = []
  if (found)
    world.describeServer = (address) => {
      asked.push(address)
      return Promise.resolve(found)
    }
  const code = await run(words, world)
  return { code, out: world.stdout.text, err: world.stderr.text, asked }
}

/** Its configuration, where nothing is said against it but that it is of one node. */
function configOf(text: string) {
  const loaded = load(text)
  if (loaded.kind === 'refused') throw new Error(JSON.stringify(loaded.problems))
  expect(loaded.warnings.map(({ code }) => code)).toEqual(['ONE_NODE'])
  return loaded.config
}

describe('--generate-sample-config', () => {
  it('prints a configuration that nothing is said against, with passwords that nobody has had before', async () => {
    const [one, other] = [
      await generate(['--generate-sample-config']),
      await generate(['--generate-sample-config']),
    ]
    expect([one.code, one.err]).toEqual([0, ''])
    const [first, second] = [configOf(one.out), configOf(other.out)]
    expect(first).toMatchObject({
      scope: 'main',
      replication: { username: 'replicator' },
      localDb: { port: 5432 },
    })
    for (const { localDb, replication, security } of [first, second])
      for (const secret of [localDb.password, replication.password, security.apiToken])
        expect(secret).toMatch(/^[\w-]{32}$/)
    expect(first.localDb.password).not.toBe(second.localDb.password)
  })

  it('writes a file that its owner alone can read, and replaces none', async () => {
    const { code, out } = await generate(['--generate-sample-config', 'new/patroni.yml'])
    expect([code, out]).toEqual([0, ''])
    const file = join(folder, 'new/patroni.yml')
    expect(statSync(file).mode & 0o777).toBe(0o600)
    configOf(readFileSync(file, 'utf8'))
    writeFileSync(file, 'mine')
    expect((await generate(['--generate-sample-config', 'new/patroni.yml'])).code).toBe(1)
    expect(readFileSync(file, 'utf8')).toBe('mine')
  })
})

describe('--generate-config', () => {
  it('has what the running PostgreSQL has set, where Patroni looks for it', async () => {
    const { code, out, asked } = await generate(
      ['--generate-config', '--dsn', "host=10.0.0.7 port=5433 user=root password='let me in'"],
      FOUND,
    )
    expect(code).toBe(0)
    expect(asked).toEqual([
      { host: '10.0.0.7', port: 5433, user: 'root', password: 'let me in', database: 'postgres' },
    ])
    const config = configOf(out)
    expect(config).toMatchObject({
      scope: '15-main',
      localDb: { port: 5433, username: 'root', password: 'let me in' },
      postgresql: {
        dataDir: '/var/lib/postgresql/15/main.new',
        binDir: '/usr/lib/postgresql/15/bin',
        listenAddresses: ['*'],
        parameters: FOUND.parameters,
        pgHba: FOUND.hba,
      },
      bootstrap: { initdb: ['--data-checksums', '--encoding=UTF8', '--wal-segsize=16'] },
    })
    expect(out).toContain('# port is left out: it is set from local_db.port')
    const shared = out.slice(out.indexOf('dcs:'), out.indexOf('initdb:'))
    expect(shared).toContain('max_connections')
    expect(shared).not.toContain('archive_command')
  })

  it.each(['localhost', '', '10.0.0.1,127.0.0.1', '0.0.0.0'])(
    'takes a server that listens at "%s"',
    async (listenAddresses) => {
      const { out } = await generate(['--generate-config'], { ...FOUND, listenAddresses })
      expect(configOf(out).localDb.port).toBe(5433)
    },
  )

  it('says whom it could not ask, and writes nothing', async () => {
    const { code, err } = await generate([
      '--generate-config',
      'x.yml',
      '--dsn',
      'postgresql://u@10.0.0.9:1/d',
    ])
    expect([code, err]).toEqual([
      3,
      expect.stringContaining('PostgreSQL at 10.0.0.9:1: nobody listens there'),
    ])
    expect(existsSync(join(folder, 'x.yml'))).toBe(false)
  })
})

describe('the address of a server', () => {
  it.each([
    [
      'postgresql://a%20b:c%3Ad@db1:6000/x',
      { host: 'db1', port: 6000, user: 'a b', password: 'c:d', database: 'x' },
    ],
    [
      'postgres:///x?host=/run/pg',
      { host: '/run/pg', port: 5432, user: 'postgres', password: '', database: 'x' },
    ],
    [
      'host=/tmp dbname=y sslmode=disable',
      { host: '/tmp', port: 5432, user: 'postgres', password: '', database: 'y' },
    ],
  ])('is read from %s', (dsn, address) => {
    expect(serverAddress(dsn, {}, undefined)).toEqual(address)
  })

  it('is that of psql where nothing is said', () => {
    const env = { PGHOST: 'db2', PGPORT: '7', PGUSER: 'me', PGPASSWORD: 'secret', PGDATABASE: 'mine' }
    expect(serverAddress(undefined, env, '/tmp')).toEqual({
      host: 'db2',
      port: 7,
      user: 'me',
      password: 'secret',
      database: 'mine',
    })
    expect(serverAddress(undefined, {}, '/tmp')).toMatchObject({ host: '/tmp', port: 5432 })
    expect(serverAddress(undefined, {}, undefined)).toMatchObject({ host: 'localhost' })
  })

  it.each(["host='x", 'nothing', 'port=many', 'postgresql://['])('is refused where it is %s', (dsn) => {
    expect(() => serverAddress(dsn, {}, undefined)).toThrow(/^Cannot/)
  })
})
