import { existsSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { makeCertificate } from '../../test/support/certificates.ts'
import { prepareNode } from './prepare-node.ts'

describe('prepareNode', () => {
  let folder: string

  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'prepare-')))
  })

  afterEach(() => {
    rmSync(folder, { recursive: true, force: true })
  })

  async function refusalOf(text: string): Promise<{ message: string; exitCode: number }> {
    const path = join(folder, 'config.yaml')
    writeFileSync(path, text)
    const prepared = await prepareNode(path)
    if (prepared.kind !== 'refused') throw new Error('it was not refused')
    return prepared
  }

  it('says which file it cannot read', async () => {
    const path = join(folder, 'missing.yaml')
    expect(await prepareNode(path)).toMatchObject({
      kind: 'refused',
      exitCode: 2,
      message: expect.stringContaining(path),
    })
  })

  it('refuses a configuration with problems, and starts nothing', async () => {
    const { message, exitCode } = await refusalOf('identity:\n  node_nam: n1\n')
    expect(exitCode).toBe(2)
    expect(message).toContain('node_nam')
  })

  it('refuses two managed nodes: with two voters either one’s loss would stop all writes', async () => {
    const { message, exitCode } = await refusalOf(`
identity: { node_name: n1, api_host: 127.0.0.1, api_port: 8008 }
local_db: { host: 127.0.0.1, port: 5432, username: postgres, password: h1dden, database: postgres }
postgresql: { data_dir: ${folder}/data }
cluster_members:
  - { node_name: n2, api_host: 127.0.0.1, api_port: 8009 }
`)
    expect(exitCode).toBe(2)
    expect(message).toContain('two nodes')
    expect(message).not.toContain('h1dden')
  })

  it("keeps the settings of PgBouncer's file that it has where the file is broken at a reload", async () => {
    const path = join(folder, 'config.yaml')
    const ini = join(folder, 'pgbouncer.ini')
    writeFileSync(
      path,
      `
identity: { node_name: n1, api_host: 127.0.0.1, api_port: 8008 }
local_db: { host: 127.0.0.1, port: 5432, password: h1dden }
security: { cluster_secret: a-secret-of-the-cluster }
pool: { pgbouncer_ini: ${ini} }
logging: { file: ${folder}/log }
`,
    )
    writeFileSync(ini, '[pgbouncer]\ndefault_pool_size = 5\n')
    const prepared = await prepareNode(path)
    if (prepared.kind !== 'ready') throw new Error(prepared.message)
    writeFileSync(ini, '[pgbouncer]\ndefault_pool_size = five\n')
    const refused = await prepared.reload()
    expect(refused).toMatchObject({ kind: 'refused', message: expect.stringContaining(`${ini}:2:1`) })
    writeFileSync(ini, '[pgbouncer]\ndefault_pool_size = 5\n')
    expect(await prepared.reload()).toMatchObject({ kind: 'applied', needsRestart: [] })
    writeFileSync(ini, '[pgbouncer]\ndefault_pool_size = 6\n')
    expect(await prepared.reload()).toMatchObject({
      kind: 'applied',
      changed: ['pool.default_pool_size'],
      needsRouterRestart: [],
      needsRestart: [],
    })
  })

  it('refuses certificates that the router could not use, before anything is written', async () => {
    const [one, other] = ['one', 'other'].map((commonName) => makeCertificate({ commonName }))
    writeFileSync(join(folder, 'r.crt'), one!.cert)
    writeFileSync(join(folder, 'r.key'), other!.key)
    const { message, exitCode } = await refusalOf(`
identity: { node_name: n1, api_host: 127.0.0.1, api_port: 8008 }
local_db: { host: 127.0.0.1, port: 5432, username: postgres, password: h1dden, database: postgres }
postgresql: { data_dir: ${folder}/data }
router: { client_tls_sslmode: require, client_tls_cert_file: r.crt, client_tls_key_file: r.key }
`)
    expect(exitCode).toBe(1)
    expect(message).toMatch(/r\.key.*TLS_FILE_UNUSABLE/)
    expect(existsSync(join(folder, 'data.metako'))).toBe(false)
  })
})
