import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { silentLogger } from '../../src/platform/log.ts'
import { createRaftStore } from '../../src/store/raft/raft-store.ts'
import { foundRaftGroup } from '../../src/store/raft/storage.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { buildStoreHost } from '../support/store-hosts.ts'

const KILLS = 100
const writer = fileURLToPath(new URL('store-writer.mjs', import.meta.url))
/** One file for each module: the program itself is a bundle. */
const modules = fileURLToPath(new URL('../../.build/src', import.meta.url))

it(`a store whose process is killed ${KILLS} times while it writes has everything that it acknowledged, once`, async () => {
  buildStoreHost()
  const folder = mkdtempSync(join(tmpdir(), 'metako-kill-'))
  const chance = seededRandom(9)
  const acknowledged = new Set<string>()
  let segments = 0
  try {
    foundRaftGroup(folder, { groupId: 'g', voters: [{ name: 'n1', incarnation: '1' }] })
    for (let life = 1; life <= KILLS; life += 1) {
      const before = acknowledged.size
      await writeAndDie(folder, `${life}`, { lines: 1 + Math.floor(chance() * 60), acknowledged })
      expect(acknowledged.size).toBeGreaterThan(before)
      const found = await keysOf(folder)
      const lost = [...acknowledged].filter((key) => !found.has(key))
      expect([life, lost]).toEqual([life, []])
      segments = Math.max(segments, ...readdirSync(folder).map((file) => Number(/\d+/.exec(file)?.[0] ?? 0)))
    }
    // A log that never rolled would prove little.
    expect(segments).toBeGreaterThan(5)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}, 300_000)

/** Lets the writer run until it has acknowledged so many, and kills it in the middle of the next ones. */
async function writeAndDie(
  folder: string,
  prefix: string,
  until: { readonly lines: number; readonly acknowledged: Set<string> },
): Promise<void> {
  const child = spawn(process.execPath, [writer, modules, folder, prefix], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  await new Promise<void>((resolve, reject) => {
    child.stdout.setEncoding('utf8')
    child.stdout.on('data', (chunk: string) => {
      text += chunk
      if (text.split('\n').length > until.lines) child.kill('SIGKILL')
    })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (signal === 'SIGKILL') resolve()
      else reject(new Error(`The writer ended by itself: ${code ?? signal}`))
    })
  })
  // The last line may be cut; whether that transaction is there nobody was told.
  for (const key of text.split('\n').slice(0, -1)) until.acknowledged.add(key)
}

/** What the next life finds. Throws where a key was written more than once. */
async function keysOf(folder: string): Promise<ReadonlySet<string>> {
  const transport = { send: () => {}, onMessage: () => () => {} }
  const fatal: unknown[] = []
  const deps = { transport, log: silentLogger(), onFatal: (thrown: unknown) => void fatal.push(thrown) }
  const store = createRaftStore(deps, { self: 'n1', folder })
  try {
    const { entries } = await store.read('', { deadlineMs: 10_000 })
    const twice = entries.filter(
      ({ key, createRevision, modRevision }) => key !== 'filler' && createRevision !== modRevision,
    )
    expect(twice).toEqual([])
    expect(fatal).toEqual([])
    return new Set(entries.map(({ key }) => key))
  } finally {
    await store.stop()
  }
}
