import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { usableEmbeddedFolder, type EmbeddedPackage } from './embedded-package.ts'

const stranger = { name: 'stranger', uid: 4711, gid: 4711, home: '/' }

describe('the npm package with PostgreSQL', () => {
  let root: string
  let embedded: EmbeddedPackage
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'embedded-'))
    process.env['PG_METAKO_CACHE_DIR'] = join(root, 'cache')
    // As npm leaves it when install scripts are off: without links, and here without execute bits too.
    const native = join(root, 'package', 'native')
    for (const folder of ['bin', 'lib']) mkdirSync(join(native, folder), { recursive: true })
    writeFileSync(join(root, 'package', 'package.json'), '{"version":"18.4.0-beta.17"}')
    for (const name of ['postgres', 'initdb']) writeFileSync(join(native, 'bin', name), name, { mode: 0o644 })
    writeFileSync(join(native, 'lib', 'libpq.so.5.18'), 'library')
    writeFileSync(join(native, 'lib', 'libpq.a'), 'static')
    writeFileSync(
      join(native, 'pg-symlinks.json'),
      JSON.stringify([{ source: 'native/lib/libpq.so.5.18', target: 'native/lib/libpq.so.5' }]),
    )
    embedded = { folder: join(root, 'package'), version: '18.4' }
  })
  afterEach(() => {
    delete process.env['PG_METAKO_CACHE_DIR']
    rmSync(root, { recursive: true, force: true })
  })

  it('is copied once, with its links and execute bits, when it is not whole', async () => {
    const [bin, again] = await Promise.all([
      usableEmbeddedFolder(embedded, undefined),
      usableEmbeddedFolder(embedded, undefined),
    ])
    expect(again).toBe(bin)
    expect(bin.startsWith(join(root, 'cache', '18.4-'))).toBe(true)
    expect(readdirSync(join(root, 'cache'))).toHaveLength(1)
    expect(statSync(join(bin, 'postgres')).mode & 0o777).toBe(0o755)
    expect(readlinkSync(join(bin, '..', 'lib', 'libpq.so.5'))).toBe('libpq.so.5.18')
    expect(readFileSync(join(bin, '..', 'lib', 'libpq.so.5'), 'utf8')).toBe('library')
    expect(existsSync(join(bin, '..', 'lib', 'libpq.a'))).toBe(false)
  })

  it('is copied anew when its content changed', async () => {
    const before = await usableEmbeddedFolder(embedded, undefined)
    writeFileSync(join(embedded.folder, 'native', 'lib', 'libpq.so.5.18'), 'another library')
    expect(await usableEmbeddedFolder(embedded, undefined)).not.toBe(before)
  })

  it('is used where it lies when it is whole and can be entered', async () => {
    const bin = await usableEmbeddedFolder(embedded, undefined)
    const whole = { folder: join(root, 'whole'), version: '18.4' }
    mkdirSync(join(whole.folder, 'native', 'bin'), { recursive: true })
    for (const name of ['postgres', 'initdb']) {
      writeFileSync(join(whole.folder, 'native', 'bin', name), '', { mode: 0o755 })
      chmodSync(join(whole.folder, 'native', 'bin', name), 0o755)
    }
    const inPlace = await usableEmbeddedFolder(whole, undefined)
    expect(inPlace).toBe(join(whole.folder, 'native', 'bin'))
    expect(inPlace).not.toBe(bin)
  })

  it('says so when the database user cannot reach the copy either', async () => {
    await expect(usableEmbeddedFolder(embedded, stranger)).rejects.toMatchObject({
      code: 'PG_CACHE_UNUSABLE',
      message: expect.stringContaining('PG_METAKO_CACHE_DIR'),
    })
    chmodSync(root, 0o755)
    expect(await usableEmbeddedFolder(embedded, stranger)).toContain(join(root, 'cache'))
  })
})
