import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, expect, it, type TestContext } from 'vitest'
import { makeCertificate, type TestCertificate } from '../../../test/support/certificates.ts'
import { APP, PooledRouters } from '../../../test/support/pooled-router.ts'
import { describePostgres, SUPERUSER } from '../../../test/support/postgres.ts'
import { eventually, rawOver } from '../../../test/support/raw-client.ts'
import { closed, directTls, negotiatedTls } from '../../../test/support/tls-client.ts'
import { findPsql, TlsFiles, tlsSettings } from '../../../test/support/tls-files.ts'
import type { TlsMode, TlsSide } from '../../model/tls-settings.ts'
import { MessageReader } from '../../wire/frame.ts'
import { buildCancelRequest, buildStartup, parseBackendKey } from '../../wire/startup.ts'

const HOSTS = ['127.0.0.1', 'localhost']
const authority = makeCertificate({ commonName: 'authority' })
const stranger = makeCertificate({ commonName: 'stranger' })
const ofRouter = makeCertificate({ commonName: 'router', hosts: HOSTS, issuer: authority })
const ofPostgres = makeCertificate({ commonName: 'postgres', hosts: HOSTS, issuer: authority })
const ofClient = makeCertificate({ commonName: 'certified', issuer: authority })
const PORTS = ['primary', 'replica', 'pooled'] as const

/** Whether the own server connection is encrypted, as PostgreSQL sees it. */
const IS_SECURE = 'select ssl as secure from pg_stat_ssl where pid = pg_backend_pid()'

describePostgres('TLS at the router', (postgres) => {
  let routers: PooledRouters
  let files: TlsFiles
  let caFile = ''

  beforeAll(async () => {
    routers = new PooledRouters(postgres())
    files = new TlsFiles(routers.workspace)
    caFile = files.write('ca.crt', authority.cert)
    const { certFile, keyFile } = files.pair('postgres', ofPostgres)
    await routers.start({
      parameters: { ssl: 'on', ssl_cert_file: certFile, ssl_key_file: keyFile, ssl_ca_file: caFile },
      pgHba: [
        'host all trusty 127.0.0.1/32 trust',
        'hostssl all certified 127.0.0.1/32 cert',
        'host all all 127.0.0.1/32 scram-sha-256',
      ],
    })
    const admin = await routers.direct()
    await admin.query('create role certified login; create table numbers (n int)')
    await admin.query('grant all on numbers to public')
    await routers.clear()
  })
  afterEach(() => routers.clear())
  afterAll(() => routers.dispose())

  /** The router's side towards clients. */
  const toClients = (mode: TlsMode, identity = ofRouter): Partial<TlsSide> => ({
    mode,
    caFile,
    ...files.pair(identity.name, identity),
  })

  function router(sides: { client?: Partial<TlsSide>; server?: Partial<TlsSide> }, pool = {}) {
    return routers.router(pool, 10_000, tlsSettings(sides))
  }

  const verified = (identity?: TestCertificate): pg.ClientConfig => ({
    ssl: { ca: authority.cert, ...(identity ? { cert: identity.cert, key: identity.key } : {}) },
  })

  type Psql = (port: number, parameters: string) => Promise<string>

  /** Answers with what psql printed, its complaint included; without psql the test is left out. */
  function psqlOf(context: TestContext): Psql {
    const program = findPsql()
    if (!program) return context.skip('psql is not installed')
    return async (port, parameters) => {
      const target = `host=127.0.0.1 port=${port} user=app password='${APP.password}' dbname=app ${parameters}`
      const run = promisify(execFile)
      try {
        const { stdout } = await run(program, [target, '-AtXc', 'select 6 * 7'], { timeout: 60_000 })
        return stdout.trim()
      } catch (error) {
        return String((error as { stderr?: unknown }).stderr)
      }
    }
  }

  it('lets psql in on all ports with the certificate checked, and refuses it without TLS', async (context) => {
    const psql = psqlOf(context)
    const { ports } = await router({ client: toClients('require') })
    for (const port of PORTS) {
      expect(await psql(ports[port], 'sslmode=require')).toBe('42')
      expect(await psql(ports[port], `sslmode=verify-full sslrootcert=${caFile}`)).toBe('42')
      expect(await psql(ports[port], 'sslmode=disable')).toMatch(/without TLS/)
    }
    const other = files.write('stranger.crt', stranger.cert)
    expect(await psql(ports.pooled, `sslmode=verify-ca sslrootcert=${other}`)).toMatch(/certificate/)
    expect(await psql(ports.pooled, 'sslmode=require channel_binding=require')).toBe('42')
  })

  it('binds the login to TLS on every port where both sides have it, each with a certificate of its own', async (context) => {
    const psql = psqlOf(context)
    const server = { mode: 'verify-full', caFile } as const
    const { ports } = await router({ client: toClients('allow'), server })
    for (const port of PORTS) {
      expect(await psql(ports[port], 'sslmode=require channel_binding=require')).toBe('42')
      expect(await psql(ports[port], 'sslmode=require')).toBe('42')
      expect(await psql(ports[port], 'sslmode=require channel_binding=disable')).toBe('42')
      // It must not be told of a binding that it cannot have.
      expect(await psql(ports[port], 'sslmode=disable')).toBe('42')
    }
  })

  it('lets a session bind to PostgreSQL itself where both show the same certificate, and asks for nothing', async (context) => {
    const psql = psqlOf(context)
    const auth = { type: 'server' } as const
    const sides = { client: toClients('require', ofPostgres), server: { mode: 'require' } as const }
    const { ports } = await router(sides, { auth })
    for (const port of PORTS) {
      expect(await psql(ports[port], 'sslmode=require channel_binding=require')).toBe('42')
    }
  })

  it.for(['rsa', 'sha384', 'ed25519'] as const)(
    'binds to certificates signed by %s as far as there is a binding, and lets in without one',
    async (signature, context) => {
      const psql = psqlOf(context)
      const ofKind = makeCertificate({ commonName: signature, hosts: HOSTS, signature })
      const { ports } = await router({ client: toClients('require', ofKind), server: { mode: 'require' } })
      const hasBinding = signature !== 'ed25519'
      for (const port of PORTS) {
        const bound = await psql(ports[port], 'sslmode=require channel_binding=require')
        expect(bound).toMatch(hasBinding ? /^42$/ : /channel binding/)
        expect(await psql(ports[port], 'sslmode=require')).toBe('42')
      }
    },
  )

  it('refuses a wrong password and an unknown user where it logs in on behalf of the client', async () => {
    const { ports } = await router({ client: toClients('require'), server: { mode: 'require' } })
    const refused = async (changes: pg.ClientConfig): Promise<unknown> =>
      routers.connect(ports.primary, { ...verified(), ...changes }).catch((error: unknown) => error)
    expect(await refused({ password: 'wrong' })).toMatchObject({ code: '28P01', severity: 'FATAL' })
    expect(await refused({ user: 'nobody' })).toMatchObject({ code: '28P01', severity: 'FATAL' })
    expect(await refused({ database: 'nowhere' })).toMatchObject({ code: '3D000', severity: 'FATAL' })
    const trusted = await routers.connect(ports.primary, { ...verified(), user: 'trusty', password: '' })
    expect((await trusted.query(IS_SECURE)).rows).toEqual([{ secure: true }])
  })

  it('serves node-postgres that checks the certificate, and speaks TLS to PostgreSQL', async () => {
    const server = { mode: 'verify-full', caFile } as const
    const { ports } = await router({ client: toClients('require'), server })
    for (const port of PORTS) {
      const client = await routers.connect(ports[port], verified())
      expect((await client.query(IS_SECURE)).rows).toEqual([{ secure: true }])
      const big = 'x'.repeat(3_000_000)
      expect((await client.query('select $1::text as big', [big])).rows).toEqual([{ big }])
    }
  })

  it('serves direct TLS as of PostgreSQL 17 on all ports', async () => {
    const { ports } = await router({ client: toClients('require') }, { auth: { type: 'trust' } })
    for (const port of PORTS) {
      const client = routers.own(rawOver(await directTls(ports[port], { ca: authority.cert })))
      client.socket.write(buildStartup({ user: 'trusty', database: APP.database }))
      await client.untilReady()
      client.query('select 1')
      await client.untilReady(2)
      expect(client.types()).toMatch(/TDCZ$/)
    }
  })

  it('trusts no server that its authority did not sign, and tells the client why', async () => {
    const server = { mode: 'verify-ca', caFile: files.write('other.crt', stranger.cert) } as const
    const { ports } = await routers.router({}, 500, tlsSettings({ server }))
    await expect(routers.connect(ports.primary)).rejects.toMatchObject({
      code: '57P03',
      detail: expect.stringMatching(/no TLS with it: .*certificate/),
    })
  })

  it('passes cancel requests on by TLS on both sides', async () => {
    const { ports } = await router(
      { client: toClients('require'), server: { mode: 'require' } },
      { auth: { type: 'trust' } },
    )
    for (const port of ['primary', 'pooled'] as const) {
      const client = routers.own(rawOver(await negotiatedTls(ports[port], { ca: authority.cert })))
      client.socket.write(buildStartup({ user: 'trusty', database: APP.database }))
      await client.untilReady()
      client.query('select pg_sleep(60)')
      const watcher = await routers.direct()
      await eventually(async () => {
        const asleep = "select 1 from pg_stat_activity where wait_event = 'PgSleep' and usename = 'trusty'"
        expect((await watcher.query(asleep)).rowCount).toBe(1)
      })
      const cancel = await negotiatedTls(ports[port], { ca: authority.cert })
      cancel.write(buildCancelRequest(keyOf(client.bytes())))
      await closed(cancel)
      await client.untilReady(2)
      expect(client.error()).toMatchObject({ C: '57014' })
    }
  })

  it('lets in whom a certificate names, and nobody else', async () => {
    const client = toClients('verify-full')
    const server = { mode: 'require', ...files.pair('certified', ofClient) } as const
    const { ports } = await router({ client, server }, { auth: { type: 'cert' } })
    const who = { user: 'certified', password: '' }
    const known = await routers.connect(ports.pooled, { ...verified(ofClient), ...who })
    expect((await known.query('select session_user::text as me')).rows).toEqual([{ me: 'certified' }])
    const refused = async (changes: pg.ClientConfig): Promise<unknown> =>
      routers.connect(ports.pooled, changes).catch((error: unknown) => error)
    expect(await refused({ ...verified(ofClient), user: 'app' })).toMatchObject({
      code: '28000',
      message: 'certificate authentication failed for user "app"',
    })
    expect(await refused({ ...verified(stranger), ...who })).toMatchObject({ code: '28000' })
    expect(await refused({ ...verified(), ...who })).toMatchObject({ code: '28000' })
    expect(await refused(who)).toMatchObject({ code: '28000' })
    // On the ports of sessions the certificate opens the door, and PostgreSQL asks for the password as ever.
    const session = await routers.connect(ports.primary, verified(ofClient))
    expect((await session.query('select session_user::text as me')).rows).toEqual([{ me: 'app' }])
  })

  it('keeps a client by TLS on the pooled port through a change of the primary', async () => {
    const { ports } = await router({ client: toClients('require'), server: { mode: 'require' } })
    const clients = await Promise.all([1, 2, 3].map(() => routers.connect(ports.pooled, verified())))
    await Promise.all(clients.map((client) => client.query('select 1')))
    routers.table({ hasPrimary: false })
    const inserts = clients.map((client, index) => client.query('insert into numbers values ($1)', [index]))
    const settled = await Promise.race([Promise.all(inserts), routers.tableSent().then(() => 'held')])
    expect(settled).toBe('held')
    routers.table({ epoch: routers.epoch + 1, hasPrimary: true })
    await Promise.all(inserts)
    const { rows } = await clients[0]!.query('select count(*)::int as n from numbers')
    expect(rows).toEqual([{ n: 3 }])
    const lost = clients[1]!.query('select pg_sleep(60)').catch((error: unknown) => error)
    await eventually(async () => {
      const asleep = "select 1 from pg_stat_activity where wait_event = 'PgSleep' and usename = 'app'"
      expect((await clients[0]!.query(asleep)).rowCount).toBe(1)
    })
    routers.table({ epoch: routers.epoch + 1 })
    expect(await lost).toMatchObject({ code: '40003' })
    expect((await clients[1]!.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  it('shows in the console who speaks TLS, and what is configured', async () => {
    const { ports } = await router({ client: toClients('allow'), server: { mode: 'require' } })
    const secure = await routers.connect(ports.pooled, verified())
    const plain = await routers.connect(ports.pooled)
    await Promise.all([secure.query('select 1'), plain.query('select 1')])
    const console = await routers.connect(ports.pooled, { ...SUPERUSER_LOGIN, database: 'pgbouncer' })
    const show = async (what: string) => (await console.query<Record<string, string>>(`SHOW ${what}`)).rows
    const tls = (await show('CLIENTS')).filter(({ user }) => user === 'app').map((row) => row['tls'])
    expect(tls.toSorted(byText)).toEqual(['', expect.stringMatching(/^TLSv1\.3\/TLS_/)])
    const servers = (await show('SERVERS')).map((row) => row['tls'])
    expect(servers.length).toBeGreaterThan(0)
    for (const server of servers) expect(server).toMatch(/^TLSv1\.3\/TLS_/)
    const config = new Map((await show('CONFIG')).map(({ key, value }) => [key, value]))
    expect(config.get('client_tls_sslmode')).toBe('allow')
    expect(config.get('client_tls_protocols')).toBe('secure')
    expect(config.get('client_tls_cert_file')).toMatch(/router\.crt$/)
    expect(config.get('server_tls_sslmode')).toBe('require')
  })

  it('shows a renewed certificate after RELOAD, and keeps the old one while the new cannot be used', async () => {
    const { ports } = await router({ client: toClients('require') })
    const console = await routers.connect(ports.pooled, {
      ...verified(),
      ...SUPERUSER_LOGIN,
      database: 'pgbouncer',
    })
    const shown = async (): Promise<unknown> => {
      const socket = await directTls(ports.primary, { ca: authority.cert })
      const name = socket.getPeerCertificate().subject.CN
      socket.destroy()
      return name
    }
    const renewed = makeCertificate({ commonName: 'renewed', hosts: HOSTS, issuer: authority })
    files.write('router.crt', renewed.cert)
    await expect(console.query('RELOAD')).rejects.toMatchObject({
      message: expect.stringMatching(/client_tls_\*/),
    })
    expect(await shown()).toBe('router')
    files.write('router.key', renewed.key)
    await console.query('RELOAD')
    expect(await shown()).toBe('renewed')
    expect((await console.query('SHOW VERSION')).rows).toHaveLength(1)
  })
})

const SUPERUSER_LOGIN = { user: SUPERUSER.name, password: SUPERUSER.password }

function keyOf(bytes: Buffer) {
  const reader = new MessageReader()
  reader.push(bytes)
  for (let next = reader.next(); next; next = reader.next()) {
    const key = next.type === 'K'.charCodeAt(0) ? parseBackendKey(next.body) : undefined
    if (key) return key
  }
  throw new Error('no BackendKeyData came')
}

function byText(one: string | undefined, other: string | undefined): number {
  return (one ?? '').localeCompare(other ?? '')
}
