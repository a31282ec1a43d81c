import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../config/load-config.ts'
import { configText, type DemoSecretFiles } from './demo-config.ts'
import { connectionsOf, demoNodes, PORT_BASE_MAX, portsOf } from './demo-layout.ts'

const secrets: DemoSecretFiles = {
  superuserPassword: '/d/secrets/superuser-password',
  appPassword: '/d/secrets/app-password',
  clusterSecret: '/d/secrets/cluster-secret',
  apiToken: '/d/secrets/api-token',
}

function nodesOf(count: number, root = '/d') {
  return demoNodes({ count, portBase: 0, folders: { root, dataRoot: root, runRoot: root } })
}

describe('demo', () => {
  it('gives every node the ports that the documentation names', () => {
    expect(portsOf(1, 0)).toEqual({ api: 8008, primary: 5433, replica: 5434, pooled: 6432, postgres: 5441 })
    expect(portsOf(3, 0)).toEqual({ api: 8010, primary: 5633, replica: 5634, pooled: 6632, postgres: 5443 })
    expect(portsOf(5, PORT_BASE_MAX).pooled).toBe(65_535)
    const all = nodesOf(5).flatMap(({ ports }) => Object.values(ports))
    expect(new Set(all).size).toBe(25)
  })

  it('writes config files that load without a warning, whatever the folder is called', () => {
    const nodes = nodesOf(3, '/tmp/a "folder": #1')
    for (const node of nodes) {
      const loaded = loadConfig({
        path: node.configFile,
        readText: (path) =>
          path === node.configFile ? configText(node, { nodes, secrets }) : 'a-secret-of-sufficient-length',
        env: {},
      })
      expect(loaded).toMatchObject({
        kind: 'ok',
        warnings: [],
        config: {
          scope: 'demo',
          identity: { nodeName: node.name, apiHost: '127.0.0.1', apiPort: node.ports.api },
          localDb: { host: '127.0.0.1', port: node.ports.postgres },
          postgresql: { dataDir: node.dataDir, listenAddresses: ['127.0.0.1'] },
          bootstrap: { databases: [{ name: 'app', owner: 'app' }] },
          router: { primaryPort: node.ports.primary, pooledPort: node.ports.pooled },
          paths: { stateDir: node.stateDir, runDir: node.runDir },
        },
      })
      expect(loaded.kind === 'ok' && loaded.config.members.length).toBe(2)
    }
  })

  it('writes a password into a connection string so that psql reads it back', () => {
    const [node] = nodesOf(1)
    const { primary } = connectionsOf(node!, 'a/b@c:d')
    expect(primary).toBe('postgresql://app:a%2Fb%40c%3Ad@127.0.0.1:5433/app')
  })
})
