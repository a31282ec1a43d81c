import { existsSync, mkdtempSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pack, type Header } from 'tar-stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ArchiveUnpacker } from './backup-archive.ts'

type Entry = Partial<Header> & { name: string; text?: string }

async function archive(entries: readonly Entry[]): Promise<Buffer> {
  const writer = pack()
  for (const { text, ...header } of entries) writer.entry(header, text ?? '')
  writer.finalize()
  const chunks: Buffer[] = []
  for await (const chunk of writer) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

describe('unpacking a base backup', () => {
  let outer: string
  let folder: string
  beforeEach(() => {
    outer = mkdtempSync(join(tmpdir(), 'unpack-'))
    folder = join(outer, 'data')
  })
  afterEach(() => rmSync(outer, { recursive: true, force: true }))

  const unpack = async (bytes: Buffer, chunkBytes = 1000) => {
    const unpacker = new ArchiveUnpacker({
      folder,
      owner: undefined,
      tablespaces: new Map([['16384', '/mnt/fast/16384']]),
    })
    for (let at = 0; at < bytes.length; at += chunkBytes) {
      await unpacker.write(bytes.subarray(at, at + chunkBytes))
    }
    await unpacker.finish()
  }

  it('restores files, folders and the links of tablespaces, however the bytes arrive', async () => {
    const text = 'x'.repeat(20_000)
    const bytes = await archive([
      { name: 'base/', type: 'directory', mode: 0o700 },
      { name: 'base/1', mode: 0o600, text },
      { name: 'empty', mode: 0o600 },
      { name: 'pg_tblspc/', type: 'directory', mode: 0o700 },
      { name: 'pg_tblspc/16384', type: 'symlink', linkname: '/elsewhere/on/the/source' },
    ])
    await unpack(bytes, 777)
    expect(readFileSync(join(folder, 'base', '1'), 'utf8')).toBe(text)
    expect(statSync(join(folder, 'empty')).size).toBe(0)
    expect(readlinkSync(join(folder, 'pg_tblspc', '16384'))).toBe('/mnt/fast/16384')
  })

  it('lets nothing land outside the folder, nor a link that it does not know', async () => {
    const hostile: Entry[] = [
      { name: '../escaped', text: 'x' },
      { name: 'a/../../escaped', text: 'x' },
      { name: '/tmp/escaped', text: 'x' },
      { name: 'pg_tblspc/99', type: 'symlink', linkname: '/etc' },
      { name: 'base', type: 'symlink', linkname: '/etc' },
      { name: 'device', type: 'character-device' },
    ]
    for (const entry of hostile) {
      await expect(unpack(await archive([entry])), entry.name).rejects.toMatchObject({
        code: 'CLONE_UNPACK_FAILED',
      })
    }
    expect(existsSync(join(outer, 'escaped'))).toBe(false)
  })

  it('notices an archive that was cut off', async () => {
    const bytes = await archive([{ name: 'file', text: 'x'.repeat(5000) }])
    await expect(unpack(bytes.subarray(0, 3000))).rejects.toMatchObject({ code: 'CLONE_UNPACK_FAILED' })
  })
})
