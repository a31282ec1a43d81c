import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { JoinDocument } from '#client'
import { runWords, serveApi } from '../../../test/support/command-line.ts'
import { FakeOperations } from '../../../test/support/fake-operations.ts'
import { FakeWorld } from '../../../test/support/fake-world.ts'
import { sampleView } from '../../../test/support/sample-view.ts'
import type { JoinOrder, JoinOutcome } from '../../api/ports.ts'
import type { ApiServer } from '../../api/server.ts'
import { joinAnswerContext, joinProofContext } from '../../model/join-token.ts'
import { hmacSha256, seal } from '../../platform/hash.ts'
import { readConfig } from '../read-config.ts'

const TOKEN = 'api-token-of-the-test'
const SECRET = 's'.repeat(43)
const JOIN_TOKEN = `0123456789abcdef.${SECRET}`

const node = (number: number) => ({
  name: `n${number}`,
  apiHost: `10.0.0.${number}`,
  apiPort: 8008,
  incarnation: `log-${number}`,
  since: '2026-11-24T10:00:00.000Z',
})

const document: JoinDocument = {
  format: 1,
  scope: 'main',
  namespace: '/service/',
  groupId: 'group-of-main',
  name: 'n4',
  registry: { revision: 12, nodes: [1, 2, 3, 4].map(node) },
  secrets: {
    superuserPassword: 'super-user-password',
    clusterSecret: 'the-secret-of-the-cluster',
    apiToken: 'the-token-of-the-api',
    replicationPassword: 'replication-password',
  },
  database: { port: 5433, username: 'postgres' },
  tls: false,
  sections: {
    postgresql: {
      parameters: { max_connections: '77', shared_buffers: '16MB' },
      pg_hba: ['host all all all reject'],
    },
    replication: { username: 'replicator', maximum_lag_on_failover: '2097152B', use_slots: true },
    ha: { profile: 'noisy', lease_ttl: '9000ms', primary_start_timeout: '0ms' },
    router: {
      enabled: true,
      primary_port: 6001,
      replica_port: 6002,
      pooled_port: 6003,
      hold_timeout: '30000ms',
      max_client_connections: 1000,
    },
  },
}

/** A member that knows the secret of the token, as the agents do. */
class Inviting extends FakeOperations {
  readonly orders: JoinOrder[] = []
  secret = SECRET

  override join(order: JoinOrder): Promise<JoinOutcome> {
    this.orders.push(order)
    const nonce = 'd'.repeat(32)
    const sealed = seal(this.secret, joinAnswerContext(order, nonce), JSON.stringify(document))
    return Promise.resolve({ kind: 'done', name: 'n4', nonce, sealed })
  }
}

let operations: Inviting
let server: ApiServer
let url: string
let folder: string

beforeEach(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'member-')))
  operations = new Inviting(sampleView())
  ;({ server, url } = await serveApi(operations, TOKEN))
})

afterEach(async () => {
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
})

const cli = (words: readonly string[], options: ConstructorParameters<typeof FakeWorld>[0] = {}) =>
  runWords(words, { cwd: folder, ...options })

describe('pg-metako member', () => {
  const member = (...words: readonly string[]) => cli(['member', ...words, '--url', url, '--token', TOKEN])

  it('list shows the part in consensus, who was never heard, and how far a learner is behind', async () => {
    const { out } = await member('list')
    expect(out).toMatch(/n1 .*10\.0\.0\.1:8008 .*voter .*primary .*running/)
    expect(out).toMatch(/n2 .*leader/)
    expect(out).toMatch(/n4 .*learner .*12 .*unreachable .*never/)
    expect(JSON.parse((await member('list', '--format', 'json')).out)).toMatchObject({ isRegistered: true })
  })

  it('add prints the command for the new host', async () => {
    const { code, out } = await member('add', 'n4', '--api-host', '10.0.0.4')
    expect(code).toBe(0)
    expect(out).toContain(
      'pg-metako join --url http://10.0.0.1:8008,http://10.0.0.2:8008 --token 0123456789abcdef.secret',
    )
    expect(operations.changes).toEqual(['invite n4 10.0.0.4:8008'])
  })

  it('remove asks, unless it is told not to', async () => {
    const words = ['member', 'remove', 'n3', '--url', url, '--token', TOKEN]
    expect((await cli(words)).code).toBe(2)
    expect((await cli(words, { answers: ['no'] })).code).toBe(1)
    expect(operations.changes).toEqual([])
    const asked = await cli(words, { answers: ['y'] })
    expect(asked.out).toContain('Removed n3')
    expect(asked.out).toContain('Two members')
    expect((await cli([...words, '--force'])).code).toBe(0)
    expect(operations.changes).toEqual(['remove n3', 'remove n3'])
  })

  it('hands a refusal on with what to do', async () => {
    operations.removeOutcome = {
      kind: 'refused',
      reason: 'IS_PRIMARY',
      message: '"n1" is the primary',
      remedy: 'Do x',
    }
    expect(await member('remove', 'n1', '--force')).toMatchObject({
      code: 1,
      err: 'pg-metako: "n1" is the primary\nhint: Do x\n',
    })
    expect((await member('add', 'n4', '--api-host', 'x', '--api-port', 'y')).code).toBe(2)
    expect((await member('add', 'n4')).code).toBe(2)
  })
})

describe('pg-metako join', () => {
  const join_ = (...words: readonly string[]) =>
    cli(['join', '--url', url, '--token', JOIN_TOKEN, '--data-dir', 'pg/data', '--out', 'etc', ...words])
  const stateDir = () => join(folder, 'pg/data.metako')
  const notes = () =>
    JSON.parse(readFileSync(join(stateDir(), 'members.json'), 'utf8')) as Record<string, unknown>

  async function ownConfig(change: (text: string) => string = (text) => text): Promise<string> {
    const path = join(folder, 'own.yaml')
    const text = `cluster: { scope: main }
identity: { node_name: n4, api_host: 127.0.0.1, api_port: 8008 }
local_db: { host: 127.0.0.1, port: 5432, username: postgres, password: pf3-Qz81kk, database: postgres }
security: { cluster_secret: the-secret-of-the-cluster }
postgresql: { data_dir: pg/data }
cluster_members:
  - { node_name: n1, api_host: 10.0.0.1 }
  - { node_name: n2, api_host: 10.0.0.2 }
`
    writeFileSync(path, change(text))
    return path
  }

  it('proves the token without sending it, and writes what the agent needs', async () => {
    const { code, out, err } = await join_()
    expect([code, err]).toEqual([0, ''])
    const [order] = operations.orders
    if (!order) throw new Error('nobody was asked')
    expect(order.proof).toBe(hmacSha256(SECRET, joinProofContext(order)).toString('hex'))
    expect(JSON.stringify(order)).not.toContain(SECRET)
    const loaded = await readConfig(join(folder, 'etc/node.yaml'), new FakeWorld({ cwd: folder }))
    expect(loaded.kind === 'ok' && loaded.config).toMatchObject({
      scope: 'main',
      identity: { nodeName: 'n4', advertiseHost: '10.0.0.4' },
      localDb: { port: 5433, password: 'super-user-password', roleHint: 'standby' },
      security: { clusterSecret: 'the-secret-of-the-cluster', apiToken: 'the-token-of-the-api' },
      replication: { password: 'replication-password', maximumLagOnFailoverBytes: 2 * 1024 * 1024 },
      postgresql: { parameters: { max_connections: '77' }, pgHba: ['host all all all reject'] },
      ha: { profile: 'noisy', leaseTtlMs: 9000 },
      router: { primaryPort: 6001 },
      members: [{ nodeName: 'n1' }, { nodeName: 'n2' }, { nodeName: 'n3' }],
    })
    expect(notes()).toMatchObject({
      revision: 12,
      joined: { groupId: 'group-of-main', incarnation: order.incarnation },
    })
    expect(statSync(stateDir()).mode & 0o077).toBe(0)
    expect(statSync(join(folder, 'etc/secrets/cluster-secret')).mode & 0o077).toBe(0)
    expect(out).toContain('n4 is a member of "main", with n1, n2, n3')
  })

  it('asks the next member when one is not there, with the same words', async () => {
    const words = [
      'join',
      '--url',
      `http://127.0.0.1:1,${url}`,
      '--token',
      JOIN_TOKEN,
      '--data-dir',
      'd',
      '--out',
      'e',
    ]
    expect((await cli(words)).code).toBe(0)
    expect(operations.orders).toHaveLength(1)
  })

  it('takes no answer from who does not know the secret', async () => {
    operations.secret = 'somebody else'
    const { code, err } = await join_()
    expect([code, existsSync(join(folder, 'etc')), existsSync(stateDir())]).toEqual([1, false, false])
    expect(err).toContain('Cannot trust the answer')
  })

  it('replaces no config, and keeps one that it is told to keep', async () => {
    expect((await join_()).code).toBe(0)
    rmSync(stateDir(), { recursive: true })
    const again = await join_()
    expect(again).toMatchObject({ code: 1, err: expect.stringContaining('--config') })
    const kept = await join_('--config', await ownConfig())
    expect(kept).toMatchObject({ code: 0, err: '' })
    expect(kept.out).toContain('systemctl restart pg-metako')
    expect(notes()['joined']).toMatchObject({ groupId: 'group-of-main' })
  })

  it.each([
    ['another name', 'node_name: n4', 'node_name: n5', 'identity.node_name'],
    ['another cluster', 'scope: main', 'scope: test', 'cluster.scope'],
    ['another secret', 'cluster_secret: the-', 'cluster_secret: not-the-', 'security.cluster_secret'],
  ])('keeps no config of %s', async (_, from, to, what) => {
    const { code, err } = await join_('--config', await ownConfig((text) => text.replace(from, to)))
    expect(code).toBe(1)
    expect(err).toContain(what)
    expect(existsSync(stateDir())).toBe(false)
  })

  const writeState = (files: Readonly<Record<string, string>>) => {
    mkdirSync(join(stateDir(), 'raft'), { recursive: true })
    for (const [name, text] of Object.entries(files)) writeFileSync(join(stateDir(), name), text)
  }

  it('refuses a host that is a member, before the invitation is used', async () => {
    writeState({ 'raft/raft.log': 'log', founded: '' })
    const { code, err } = await join_()
    expect([code, operations.orders]).toEqual([1, []])
    expect(err).toContain('is a member of a cluster already')
  })

  it('lets one that was removed join again: its old log is kept aside, its data is used', async () => {
    const left = JSON.stringify({ revision: 3, nodes: [], removed: [], left: { at: 'yesterday' } })
    writeState({
      'raft/raft.log': 'log',
      founded: '',
      nonce: 'old',
      'members.json': left,
      'promotion.json': '{}',
    })
    mkdirSync(join(folder, 'pg/data'))
    writeFileSync(join(folder, 'pg/data/PG_VERSION'), '18')
    expect((await join_()).code).toBe(0)
    const names = readdirSync(stateDir())
    expect(names.filter((name) => name.startsWith('raft'))).toEqual([
      expect.stringMatching(/^raft\.left-\d+$/),
    ])
    expect(names).not.toContain('founded')
    expect(names).not.toContain('nonce')
    expect(names, 'how its data came to be').toContain('promotion.json')
    expect(notes()['left']).toBeUndefined()
  })

  it('uses no data whose state folder is gone, and says how to keep it', async () => {
    mkdirSync(join(folder, 'pg/data'), { recursive: true })
    writeFileSync(join(folder, 'pg/data/PG_VERSION'), '18')
    const { code, err } = await join_()
    expect([code, operations.orders]).toEqual([1, []])
    expect(err).toContain(`mv ${join(folder, 'pg/data')}`)
  })

  it('says what a wrong token, no member or a refusal means', async () => {
    expect((await cli(['join', '--url', url, '--token', 'short'])).code).toBe(2)
    expect((await cli(['join', '--token', JOIN_TOKEN])).err).toContain('member add')
    operations.join = () => Promise.resolve({ kind: 'used' })
    expect(await join_()).toMatchObject({ code: 1, err: expect.stringContaining('was used already') })
    await server.stop()
    expect((await join_()).code).toBe(3)
  })

  it('says that the token is used up when it cannot write', async () => {
    mkdirSync(join(folder, 'pg'))
    writeFileSync(join(folder, 'pg/data.metako'), 'a file')
    chmodSync(join(folder, 'pg/data.metako'), 0o644)
    const { code, err } = await join_()
    expect(code).toBe(1)
    expect(err).toContain('The token is used up')
  })
})
