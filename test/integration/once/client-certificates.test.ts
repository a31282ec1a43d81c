import { chownSync, rmSync } from 'node:fs'
import { afterAll, beforeAll, expect, it, onTestFailed } from 'vitest'
import { findDatabaseUser } from '../../../src/platform/os-user.ts'
import { makeCertificate } from '../../support/certificates.ts'
import { Cluster } from '../../support/cluster.ts'
import { makeDatabaseFolder } from '../../support/database-folder.ts'
import { loopbackMachines } from '../../support/loopback-machines.ts'
import type { TestNode } from '../../support/machines.ts'
import { connectTo } from '../../support/numbered-writer.ts'
import { describePostgres } from '../../support/postgres.ts'
import { TlsFiles } from '../../support/tls-files.ts'

const hosts = ['127.0.0.1']
const authority = makeCertificate({ commonName: 'authority' })

describePostgres('a cluster whose API answers nobody without a certificate', (postgres) => {
  const folder = makeDatabaseFolder('metako-mtls-')
  let cluster: Cluster
  let withoutCertificate = ''

  beforeAll(async () => {
    const user = findDatabaseUser({})
    const files = new TlsFiles({ folder, own: (path) => user && chownSync(path, user.uid, user.gid) })
    const ca = files.write('ca.crt', authority.cert)
    const node = files.pair('node', makeCertificate({ commonName: 'node', hosts, issuer: authority }))
    const client = files.pair('client', makeCertificate({ commonName: 'client', issuer: authority }))
    const stranger = files.pair('stranger', makeCertificate({ commonName: 'client' }))
    const security = (text: string) =>
      text.replace(
        'security:\n',
        `security:\n  tls_enabled: true\n  cert_file: ${node.certFile}\n  key_file: ${node.keyFile}\n  ca_file: ${ca}\n  verify_client: required\n  allowlist_include_members: true\n`,
      )
    const ctl = ({ certFile, keyFile }: typeof client) =>
      `ctl: { cert_file: ${certFile}, key_file: ${keyFile} }\n`
    const configure = (text: string) => {
      withoutCertificate = files.write('stranger.yaml', security(text) + ctl(stranger))
      return security(text) + ctl(client)
    }
    const { folder: binDir } = postgres().binaries
    cluster = new Cluster(await loopbackMachines({ count: 3, binDir, mode: 'async', configure }))
    cluster.startAll()
    await waitForMembers(3)
  })
  afterAll(async () => {
    await cluster?.dispose()
    rmSync(folder, { recursive: true, force: true })
  })

  type Row = { readonly Member: string; readonly Role: string; readonly State: string }
  const list = async (from: TestNode): Promise<readonly Row[]> => {
    const { code, out } = await cluster.runOn(from, [
      'patronictl',
      '-c',
      from.configFile,
      'list',
      '-f',
      'json',
    ])
    return code === 0 ? (JSON.parse(out) as readonly Row[]) : []
  }
  /** The primary's name, once so many members run. */
  const waitForMembers = (count: number, from = cluster.nodes[0]!) =>
    cluster.waitFor(`${count} members that run`, 60_000, async () => {
      const rows = await list(from)
      const running = rows.filter(({ State }) => State === 'running' || State === 'streaming')
      const leader = running.find(({ Role }) => Role === 'Leader')?.Member
      return running.length === count ? leader : undefined
    })

  it('is driven by who shows one, and by nobody else', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    const [node] = cluster.nodes
    const leader = await waitForMembers(3)
    const target = cluster.nodes.find(({ name }) => name !== leader)!.name
    const words = ['switchover', '--candidate', target, '--force']
    const stranger = await cluster.runOn(node!, ['patronictl', '-c', withoutCertificate, ...words])
    expect(stranger.code).not.toBe(0)
    expect(await waitForMembers(3)).toBe(leader)
    const { code, out } = await cluster.runOn(node!, ['patronictl', '-c', node!.configFile, ...words])
    expect([code, out]).toEqual([0, expect.stringContaining(`Successfully switched over to "${target}"`)])
    expect(await waitForMembers(3)).toBe(target)
  })

  it('leads clients to a new primary also where the agent is dead: its router shows one too', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    const leader = await waitForMembers(3)
    const [alone, other] = cluster.nodes.filter(({ name }) => name !== leader)
    cluster.killAgent(alone!)
    cluster.killPostmaster(cluster.node(leader))
    await cluster.waitFor('another primary', 30_000, async () =>
      (await list(other!)).some(({ Member, Role }) => Role === 'Leader' && Member === other!.name),
    )
    const port = await cluster.waitFor('a client at the new primary', 30_000, async () => {
      const session = await connectTo(cluster.url(alone!, 'primary')).catch(() => undefined)
      const found = await session
        ?.query<{ port: number }>('select inet_server_port() as port')
        .catch(() => undefined)
      await session?.end().catch(() => undefined)
      return found?.rows[0]?.port
    })
    expect(port).toBe(other!.ports.postgres)
  })
})
