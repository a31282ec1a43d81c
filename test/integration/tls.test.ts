import { chownSync, rmSync } from 'node:fs'
import pg from 'pg'
import { afterAll, beforeAll, expect, it, onTestFailed } from 'vitest'
import { findDatabaseUser } from '../../src/platform/os-user.ts'
import { makeCertificate } from '../support/certificates.ts'
import { Cluster } from '../support/cluster.ts'
import { makeDatabaseFolder } from '../support/database-folder.ts'
import { loopbackMachines } from '../support/loopback-machines.ts'
import { describePostgres } from '../support/postgres.ts'
import { directTls } from '../support/tls-client.ts'
import { TlsFiles } from '../support/tls-files.ts'

const hosts = ['127.0.0.1', 'localhost']
const authority = makeCertificate({ commonName: 'authority' })
const issued = (commonName: string) => makeCertificate({ commonName, hosts, issuer: authority })
const IS_SECURE = 'select ssl as secure from pg_stat_ssl where pid = pg_backend_pid()'

describePostgres('a cluster whose routers speak TLS to clients and to PostgreSQL', (postgres) => {
  const folder = makeDatabaseFolder('metako-tls-')
  let cluster: Cluster
  let files: TlsFiles

  beforeAll(async () => {
    const user = findDatabaseUser({})
    files = new TlsFiles({ folder, own: (path) => user && chownSync(path, user.uid, user.gid) })
    const ca = files.write('ca.crt', authority.cert)
    const router = files.pair('router', issued('router'))
    const server = files.pair('postgres', issued('postgres'))
    const routerLines = [
      'router:',
      '  client_tls_sslmode: require',
      `  client_tls_cert_file: ${router.certFile}`,
      `  client_tls_key_file: ${router.keyFile}`,
      '  server_tls_sslmode: verify-full',
      `  server_tls_ca_file: ${ca}`,
    ]
    const parameters = [
      '  parameters:',
      '    ssl: "on"',
      `    ssl_cert_file: ${server.certFile}`,
      `    ssl_key_file: ${server.keyFile}`,
    ]
    const configure = (text: string): string =>
      text.replace('router:', routerLines.join('\n')).replace('  parameters:', parameters.join('\n'))
    const { binaries } = postgres()
    cluster = new Cluster(
      await loopbackMachines({ count: 3, binDir: binaries.folder, mode: 'quorum', configure }),
    )
    cluster.supervise(true)
    cluster.startAll()
    await cluster.waitForHealthy(60_000)
  })
  afterAll(async () => {
    await cluster?.dispose()
    rmSync(folder, { recursive: true, force: true })
  })

  async function connect(port: 'primary' | 'replica' | 'pooled', at = 0): Promise<pg.Client> {
    const connectionString = cluster.url(cluster.nodes[at]!, port)
    const client = new pg.Client({ connectionString, ssl: { ca: authority.cert } })
    client.on('error', () => {})
    await client.connect()
    return client
  }

  it('serves every port by TLS on both sides, and nobody without', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    for (const port of ['primary', 'replica', 'pooled'] as const) {
      const client = await connect(port)
      expect((await client.query(IS_SECURE)).rows).toEqual([{ secure: true }])
      await client.end()
      const plain = new pg.Client({ connectionString: cluster.url(cluster.nodes[0]!, port) })
      await expect(plain.connect()).rejects.toMatchObject({ code: '28000' })
    }
  })

  it('keeps clients by TLS through a killed primary, and serves new ones on every port', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    const primary = await cluster.waitForHealthy(30_000)
    const epoch = await cluster.epoch()
    const clients = await Promise.all([0, 1, 2].map((at) => connect('pooled', at)))
    await clients[0]!.query('create table kept (id int not null)')
    cluster.killPostmaster(primary)
    await cluster.waitForPrimary({ deadlineMs: 30_000, after: epoch })
    for (const [id, client] of clients.entries()) {
      expect((await client.query('insert into kept values ($1)', [id])).rowCount).toBe(1)
    }
    expect((await clients[2]!.query('select id from kept order by id')).rows.map(({ id }) => id)).toEqual([
      0, 1, 2,
    ])
    const session = await connect('primary')
    expect((await session.query(IS_SECURE)).rows).toEqual([{ secure: true }])
    for (const client of [...clients, session]) await client.end()
  })

  it('shows a renewed certificate when its agent is told to reload, without a restart of the router', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    const [node] = cluster.nodes
    const before = cluster.routerPid(node!)
    files.pair('router', issued('renewed'))
    for (const { pid } of cluster.processesOf(node!).agents) process.kill(pid, 'SIGHUP')
    await cluster.waitFor('the renewed certificate', 10_000, async () => {
      const socket = await directTls(node!.ports.pooled, { ca: authority.cert })
      const name = socket.getPeerCertificate().subject.CN
      socket.destroy()
      return name === 'renewed'
    })
    expect(cluster.routerPid(node!)).toBe(before)
  })
})
