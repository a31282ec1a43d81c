import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
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
})
