import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { makeCertificate } from '../../../test/support/certificates.ts'
import { sampleFacts } from '../../../test/support/sample-doctor.ts'
import { diagnoseNode } from '../diagnose.ts'
import { hostFacts, type HostQuestion } from './host-facts.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pg-metako-host-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const ask = (changes: Partial<HostQuestion> = {}) =>
  hostFacts({ stateDir: folder, processes: [], certificates: [], ...changes })

it('measures durable writes in the state folder, and leaves nothing there', async () => {
  const { flush, flushTrouble } = await ask()
  expect(flushTrouble).toBeUndefined()
  expect(flush?.times).toBeGreaterThan(0)
  expect(flush?.worstMs).toBeGreaterThanOrEqual(flush?.medianMs ?? Number.NaN)
  expect(readdirSync(folder)).toEqual([])
})

it('looks at the nearest folder above of what is not there yet, and counts one disk once', async () => {
  const { disks, flush } = await ask({
    stateDir: join(folder, 'not', 'yet'),
    dataDir: join(folder, 'data'),
  })
  expect(disks.map(({ holds }) => holds)).toEqual([['state', 'data', 'WAL']])
  expect(disks[0]?.freeBytes).toBeGreaterThan(0)
  expect(disks[0]?.totalBytes).toBeGreaterThanOrEqual(disks[0]?.freeBytes ?? 0)
  expect(flush?.times).toBeGreaterThan(0)
  expect(readdirSync(folder)).toEqual([])
})

it('says why nothing was measured where a folder cannot be written', async () => {
  const file = join(folder, 'doctor.probe')
  mkdirSync(file)
  expect(await ask()).toMatchObject({ flushTrouble: expect.stringContaining('EISDIR') as string })
})

/** Only root may, and not everywhere. */
function mountSmall(at: string): boolean {
  return spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', at]).status === 0
}

it.runIf(process.getuid?.() === 0)('names a disk that is nearly full, by its own size', async ({ skip }) => {
  const small = join(folder, 'small')
  mkdirSync(small)
  if (!mountSmall(small)) skip('no filesystem can be mounted here')
  try {
    const { disks } = await ask({ stateDir: small, dataDir: join(folder, 'data') })
    expect(disks.map(({ holds }) => holds)).toEqual([['state'], ['data', 'WAL']])
    expect(disks[0]?.totalBytes).toBe(64 * 1024 ** 2)
    const found = diagnoseNode(sampleFacts('n1', { host: { disks, files: [], certificates: [] } }))
    expect(found.find(({ code }) => code === 'DISK_FULL')?.evidence).toContain('64 MB of 64 MB (100 %)')
  } finally {
    spawnSync('umount', [small])
  }
})

it('counts the open files of a process, and tells nothing of one that is gone', async () => {
  const { files } = await ask({
    processes: [
      { name: 'agent', pid: process.pid },
      { name: 'router', pid: 2 ** 22 + 1 },
    ],
  })
  expect(files.map((one) => one.process)).toEqual(['agent'])
  expect(files[0]?.open).toBeGreaterThan(2)
  expect(files[0]?.max).toBeGreaterThanOrEqual(files[0]?.open ?? Number.NaN)
})

it('tells until when a certificate holds, and what is wrong with one that cannot be used', async () => {
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const [one, other] = [
    makeCertificate({ commonName: 'a', validForMs: -60_000 }),
    makeCertificate({ commonName: 'b' }),
  ]
  const file = write('a.crt', one.cert)
  const { certificates } = await ask({
    certificates: [
      { for: 'the router', file, keyFile: write('a.key', one.key) },
      { for: 'the API', file, keyFile: write('b.key', other.key) },
      { for: 'the API', file: join(folder, 'none.crt'), keyFile: join(folder, 'b.key') },
    ],
  })
  expect(Date.parse(certificates[0]?.expiresAt ?? '')).toBeLessThan(Date.now())
  expect(certificates[0]?.expiresInMs).toBeLessThan(0)
  expect(certificates[1]?.trouble).toContain('belongs to another certificate')
  expect(certificates[2]?.trouble).toContain('ENOENT')
})
