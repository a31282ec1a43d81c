import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { DemoNode } from './demo-layout.ts'
import { processesOf } from './node-processes.ts'

test.each([
  ['the postmaster', '/usr/lib/postgresql/15/bin/postgres', 1],
  ['a child whose title has the name of the cluster in it', 'postgres: main/node1: walwriter', 1],
  ['no shell that stands in its folder', '/usr/bin/postgres-notes', 0],
])('an instance has %s', async (_, title, count) => {
  const dataDir = realpathSync(mkdtempSync(join(tmpdir(), 'metako-processes-')))
  const child = spawn('sleep', ['60'], { argv0: title, cwd: dataDir, stdio: 'ignore' })
  try {
    await once(child, 'spawn')
    const node = { dataDir, configFile: join(dataDir, 'node.yaml'), runDir: join(dataDir, 'run') } as DemoNode
    expect(processesOf(node).instance).toHaveLength(count)
  } finally {
    child.kill('SIGKILL')
    rmSync(dataDir, { recursive: true })
  }
})
