import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findBinaries } from './binaries.ts'

describe('choosing PostgreSQL', () => {
  let folder: string
  const before = { path: process.env['PATH'], bin: process.env['PG_METAKO_PG_BIN'] }
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'binaries-'))
    chmodSync(folder, 0o755)
  })
  afterEach(() => {
    process.env['PATH'] = before.path
    if (before.bin === undefined) delete process.env['PG_METAKO_PG_BIN']
    else process.env['PG_METAKO_PG_BIN'] = before.bin
    rmSync(folder, { recursive: true, force: true })
  })

  /** Programs that say a version. */
  const install = (name: string, version: string, programs = ['postgres', 'initdb']) => {
    const bin = join(folder, name)
    mkdirSync(bin)
    for (const program of programs) {
      writeFileSync(join(bin, program), `#!/bin/sh\necho "${program} (PostgreSQL) ${version} (Test)"\n`, {
        mode: 0o755,
      })
    }
    return bin
  }
  const dataOf = (major: string) => {
    const data = join(folder, `data-${major}`)
    mkdirSync(data)
    writeFileSync(join(data, 'PG_VERSION'), `${major}\n`)
    return data
  }

  it('an explicit choice wins over newer ones, the configuration over the environment', async () => {
    const configured = install('a', '14.9', ['postgres', 'initdb', 'pg_rewind'])
    process.env['PG_METAKO_PG_BIN'] = install('b', '15.1')
    expect(await findBinaries({ configured })).toEqual({
      folder: configured,
      version: '14.9',
      majorVersion: 14,
      origin: 'configured',
      hasRewind: true,
      passedOver: [],
    })
    expect(await findBinaries({})).toMatchObject({ version: '15.1', origin: 'environment', hasRewind: false })
  })

  it('an explicit choice that cannot be used is an error, never replaced by another', async () => {
    const code = (configured: string, dataDir?: string) =>
      findBinaries({ configured, dataDir }).catch((error: { code: string }) => error.code)
    expect(await code(join(folder, 'nothing'))).toBe('PG_BINARIES_UNUSABLE')
    expect(await code(install('old', '12.3'))).toBe('PG_BINARIES_UNUSABLE')
    expect(await code(install('half', '15.3', ['postgres']))).toBe('PG_BINARIES_UNUSABLE')
    expect(await code(install('other', '15.3'), dataOf('16'))).toBe('PG_VERSION_MISMATCH')
  })

  it('the newest on PATH is taken, and those passed over are named', async () => {
    const [older, newest] = [install('older', '98.7'), install('newest', '98.10')]
    process.env['PATH'] = `${older}:${newest}:/usr/bin:/bin`
    const found = await findBinaries({})
    expect(found).toMatchObject({ folder: newest, version: '98.10', origin: 'path' })
    expect(found.passedOver.join('\n')).toContain('PostgreSQL 98.7 is not newer')
  })

  it('an existing data directory decides the major version', async () => {
    process.env['PATH'] = `${install('new', '98.1')}:${install('fits', '97.2')}:/usr/bin:/bin`
    expect(await findBinaries({ dataDir: dataOf('97') })).toMatchObject({ version: '97.2' })
    await expect(findBinaries({ dataDir: dataOf('96') })).rejects.toMatchObject({
      code: 'PG_BINARIES_NOT_FOUND',
      message: expect.stringContaining('the data wants 96'),
    })
  })
})
