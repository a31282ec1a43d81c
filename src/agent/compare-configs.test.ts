import { describe, expect, it } from 'vitest'
import type { EffectiveSetting } from '../config/effective-settings.ts'
import { loadConfig } from '../config/load-config.ts'
import { compareConfigs } from './compare-configs.ts'

const BASE = {
  members: ['n2', 'n3'],
  level: 'info',
  apiPort: 8008,
  parameters: { max_connections: 100, shared_buffers: '16MB' } as Readonly<Record<string, unknown>>,
}

function settingsOf(changes: Partial<typeof BASE> = {}): readonly EffectiveSetting[] {
  const { members, level, apiPort, parameters } = { ...BASE, ...changes }
  const text = `
identity: { node_name: n1, api_host: 10.0.0.1, api_port: ${apiPort} }
local_db: { host: 127.0.0.1, port: 5432, username: postgres, password: pf3-Qz81kk, database: postgres }
postgresql: { data_dir: /srv/data, parameters: ${JSON.stringify(parameters)} }
logging: { level: ${level} }
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
    expect(difference({})).toEqual({ live: [], needsRestart: [], ignored: [] })
  })

  it('changes the level of the log while the node runs, the rest after a restart', () => {
    expect(difference({ level: 'debug', apiPort: 8009 })).toEqual({
      live: ['logging.level'],
      needsRestart: ['identity.api_port'],
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
