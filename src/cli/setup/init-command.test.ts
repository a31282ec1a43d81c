import {
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
import { runWords } from '../../../test/support/command-line.ts'
import { FakeWorld } from '../../../test/support/fake-world.ts'
import { REPOSITORY_ROOT } from '../../../test/support/repository-root.ts'
import type { NodeConfig } from '../../config/node-config.ts'
import { nodeMode } from '../../config/node-mode.ts'
import { readConfig } from '../read-config.ts'
import { unitText } from './unit-text.ts'

const NODES = 'n1=10.0.0.1,n2=10.0.0.2:8010,n3=10.0.0.3'

describe('pg-metako init', () => {
  let folder: string

  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'init-')))
  })

  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const init = (...words: readonly string[]) =>
    runWords(['init', ...words], { cwd: folder, env: { PG_METAKO_IDENTITY_NODE_NAME: 'not-for-init' } })

  async function configOf(name: string, out = 'pg-metako-config'): Promise<NodeConfig> {
    const world = new FakeWorld({ cwd: folder })
    const loaded = await readConfig(join(folder, out, name, 'node.yaml'), world)
    if (loaded.kind === 'refused') throw new Error(loaded.problems.map(({ rule }) => rule).join())
    expect(loaded.warnings).toEqual([])
    return loaded.config
  }

  it('writes a folder for each node that the agent reads without a warning, one of them to create the cluster', async () => {
    expect((await init('--nodes', NODES, '--scope', 'shop', '--data-dir', '/srv/pg/data')).code).toBe(0)
    const configs = await Promise.all(['n1', 'n2', 'n3'].map((name) => configOf(name)))
    expect(
      configs.map(({ identity }) => [identity.nodeName, identity.advertiseHost, identity.apiPort]),
    ).toEqual([
      ['n1', '10.0.0.1', 8008],
      ['n2', '10.0.0.2', 8010],
      ['n3', '10.0.0.3', 8008],
    ])
    expect(configs.map(({ localDb }) => localDb.roleHint)).toEqual(['primary', 'standby', 'standby'])
    expect(configs[0]).toMatchObject({ scope: 'shop', postgresql: { dataDir: '/srv/pg/data' } })
    expect(configs[0]?.bootstrap.users[0]?.name).toBe('app')
  })

  it('plans two databases and a witness, which runs as a user of its own and never creates the cluster', async () => {
    const { out, code } = await init('--nodes', 'n1=10.0.0.1,n2=10.0.0.2', '--witness', 'a=10.0.0.3')
    expect(code).toBe(0)
    const witness = await configOf('a')
    expect(nodeMode(witness)).toBe('witness')
    expect([witness.postgresql.dataDir, witness.router.enabled]).toEqual([undefined, false])
    const { members, replication } = await configOf('n1')
    expect(members.map(({ nodeName, roleHint }) => [nodeName, roleHint])).toEqual([
      ['n2', 'standby'],
      ['a', 'witness'],
    ])
    expect(replication.acks).toMatchObject({ method: 'ANY', isStrict: false })
    const unit = readFileSync(join(folder, 'pg-metako-config/a/pg-metako.service'), 'utf8')
    expect(unit).toContain('User=pg-metako\n')
    expect(unit).toContain('pg-metako witness --config /etc/pg-metako/node.yaml')
    expect(out).toContain('# on n1 and n2')
    expect(out).toContain('# on a, which has no database')
    expect(out).toContain('chown -R pg-metako: /etc/pg-metako')
  })

  it('gives all nodes the same secrets, which nobody else can read, and none of them in a config', async () => {
    await init('--nodes', NODES)
    const [first, second] = [await configOf('n1'), await configOf('n2')]
    const { clusterSecret = '', apiToken = '' } = first.security
    expect(second.security).toEqual(first.security)
    expect(second.localDb.password).toBe(first.localDb.password)
    expect(new Set([clusterSecret, apiToken, first.localDb.password]).size).toBe(3)
    const node = join(folder, 'pg-metako-config', 'n1')
    for (const name of readdirSync(join(node, 'secrets'))) {
      expect(statSync(join(node, 'secrets', name)).mode & 0o777, name).toBe(0o600)
    }
    for (const name of ['common.yaml', 'node.yaml', 'pg-metako.service']) {
      expect(readFileSync(join(node, name), 'utf8')).not.toContain(clusterSecret)
    }
  })

  it('prints what comes next, also for programs', async () => {
    const { out } = await init('--nodes', NODES)
    expect(out).toContain('scp -r pg-metako-config/n2 root@10.0.0.2:/etc/pg-metako')
    expect(out).toContain('pg-metako --config /etc/pg-metako/node.yaml --validate')
    const json = await init('--nodes', NODES, '--out', 'other', '--format', 'json')
    expect(JSON.parse(json.out)).toMatchObject({
      nodes: [{ name: 'n1', folder: join(folder, 'other/n1') }, {}, {}],
    })
  })

  it('replaces nothing, and writes nothing where it refuses', async () => {
    await init('--nodes', NODES)
    const secret = join(folder, 'pg-metako-config/n3/secrets/cluster-secret')
    const before = readFileSync(secret, 'utf8')
    rmSync(join(folder, 'pg-metako-config/n1'), { recursive: true })
    const again = await init('--nodes', NODES)
    expect(again).toMatchObject({ code: 1, err: expect.stringContaining('it is there already') })
    expect(readFileSync(secret, 'utf8')).toBe(before)
    expect(readdirSync(join(folder, 'pg-metako-config'))).toEqual(['n2', 'n3'])
  })

  it.each([
    [['--nodes', 'n 1=10.0.0.1'], 'node_name'],
    [['--nodes', NODES, '--scope', 'a b'], 'cluster.scope'],
    [['--nodes', 'n1=0.0.0.0,n2=10.0.0.2,n3=10.0.0.3'], 'nobody can be reached'],
    [['--nodes', 'n1,n2'], 'two nodes'],
    [[], '--nodes'],
  ])('refuses %j with exit code 2 and leaves nothing behind', async (words, what) => {
    const { code, err } = await init(...words)
    expect(code).toBe(2)
    expect(err).toContain(what)
    expect(readdirSync(folder)).toEqual([])
  })

  it('says what it cannot write', async () => {
    writeFileSync(join(folder, 'file'), '')
    const { code, err } = await init('--nodes', NODES, '--out', 'file')
    expect(code).toBe(1)
    expect(err).toContain('Cannot write into')
  })

  it('writes the unit of deploy/systemd', () => {
    const deployed = readFileSync(join(REPOSITORY_ROOT, 'deploy/systemd/pg-metako.service'), 'utf8')
    expect(unitText('/etc/pg-metako/node.yaml')).toBe(deployed)
  })
})
