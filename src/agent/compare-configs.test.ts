import { describe, expect, it } from 'vitest'
import type { EffectiveSetting } from '../config/effective-settings.ts'
import { loadConfig } from '../config/load-config.ts'
import { compareConfigs } from './compare-configs.ts'

const BASE = {
  members: ['n2', 'n3'],
  level: 'info',
  apiPort: 8008,
  pool: ' {}',
  parameters: { max_connections: 100, shared_buffers: '16MB' } as Readonly<Record<string, unknown>>,
  callbacks: { on_start: '/opt/a' } as Readonly<Record<string, string>>,
}

function settingsOf(changes: Partial<typeof BASE> = {}): readonly EffectiveSetting[] {
  const { members, level, apiPort, pool, parameters, callbacks } = { ...BASE, ...changes }
  const text = `
identity: { node_name: n1, api_host: 10.0.0.1, api_port: ${apiPort} }
local_db: { host: 127.0.0.1, port: 5432, username: postgres, password: pf3-Qz81kk, database: postgres }
postgresql: { data_dir: /srv/data, parameters: ${JSON.stringify(parameters)}, callbacks: ${JSON.stringify(callbacks)} }
logging: { level: ${level} }
pool:${pool}
cluster_members:
${members.map((name) => `  - { node_name: ${name}, api_host: 10.0.0.${name.slice(1)} }`).join('\n')}
`
  const loaded = loadConfig({ path: '/etc/node.yaml', readText: () => text, env: {} })
  if (loaded.kind === 'refused') throw new Error(loaded.problems.map(({ rule }) => rule).join())
  return loaded.effective
}

const difference = (changes: Partial<typeof BASE>, isRegistered = true) =>
  compareConfigs(settingsOf(), settingsOf(changes), { isRegistered })

describe('a configuration that is read again', () => {
  it('without a change changes nothing', () => {
    expect(difference({})).toEqual({ live: [], needsRouterRestart: [], needsRestart: [], ignored: [] })
  })

  it('calls other programs from then on', () => {
    expect(difference({ callbacks: { on_start: '/opt/b' } })).toMatchObject({
      live: ['postgresql.callbacks.on_start'],
      needsRestart: [],
    })
  })

  it('changes the level of the log while the node runs, the rest after a restart', () => {
    expect(difference({ level: 'debug', apiPort: 8009 })).toEqual({
      live: ['logging.level'],
      needsRouterRestart: [],
      needsRestart: ['identity.api_port'],
      ignored: [],
    })
  })

  it('changes what the pooled port allows while clients are connected; what they were begun with waits for another router', () => {
    const pool = `
  default_pool_size: 5
  query_timeout: 1s
  pool_mode: session
  read_write_split: true
  read_functions: [f]
  auth_type: trust
  listen_addr: 10.0.0.7
  databases: [{ name: app, pool_size: 3, pool_mode: statement }]
`
    expect(difference({ pool })).toEqual({
      live: [
        'pool.default_pool_size',
        'pool.query_timeout',
        ...['name', 'pool_size'].map((field) => `pool.databases[0].${field}`),
        ...['pool.databases'],
      ],
      needsRouterRestart: [
        'pool.pool_mode',
        'pool.read_write_split',
        'pool.auth_type',
        'pool.read_functions[0]',
        'pool.databases[0].pool_mode',
        'pool.read_functions',
      ],
      needsRestart: ['pool.listen_addr'],
      ignored: [],
    })
  })

  it('wants no restart for other members: the registry of the cluster counts', () => {
    const { needsRestart, ignored } = difference({ members: ['n2', 'n3', 'n4', 'n5'] })
    expect(needsRestart).toEqual([])
    expect(ignored).toContain('cluster_members[2].node_name')
  })

  it('wants one for other members before the cluster has a registry', () => {
    const { needsRestart, ignored } = difference({ members: ['n2', 'n4'] }, false)
    expect(needsRestart).toContain('cluster_members[1].node_name')
    expect(ignored).toEqual([])
  })

  it('sees what is gone as well', () => {
    expect(difference({ parameters: { max_connections: 100 } }).needsRestart).toEqual([
      'postgresql.parameters.shared_buffers',
    ])
  })
})
