import { describe, expect, it } from 'vitest'
import type { NodeConfig } from '../config/node-config.ts'
import { deriveSecrets } from './secrets.ts'

function config(
  change: { scope?: string; secret?: string; replication?: string; password?: string } = {},
): NodeConfig {
  return {
    scope: change.scope ?? 'main',
    security: { clusterSecret: change.secret },
    localDb: { password: change.password ?? 'database password' },
    replication: { password: change.replication },
  } as unknown as NodeConfig
}

describe('deriveSecrets', () => {
  it('comes to the same secrets on every node that shares the database password', () => {
    expect(deriveSecrets(config())).toEqual(deriveSecrets(config()))
    expect(deriveSecrets(config()).isDerived).toBe(true)
  })

  it('derives one that says nothing about the others or the password', () => {
    const { cluster, routing, replicationPassword } = deriveSecrets(config())
    expect(new Set([cluster, routing, replicationPassword, 'database password']).size).toBe(4)
  })

  it('keeps two clusters with one database password apart', () => {
    expect(deriveSecrets(config({ scope: 'a' })).cluster).not.toBe(
      deriveSecrets(config({ scope: 'b' })).cluster,
    )
  })

  it('takes what is given', () => {
    const given = deriveSecrets(config({ secret: 'own', replication: 'repl' }))
    expect(given).toMatchObject({ cluster: 'own', replicationPassword: 'repl', isDerived: false })
    expect(given.routing).not.toBe('own')
  })
})
