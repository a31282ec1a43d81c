import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { writeFileDurably } from './disk.ts'

const folder = mkdtempSync(join(tmpdir(), 'metako-disk-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

it('a file is replaced as a whole, and a write that fails leaves nothing beside it', async () => {
  const path = join(folder, 'settings')
  await writeFileDurably(path, 'one')
  await writeFileDurably(path, 'two')
  expect(readFileSync(path, 'utf8')).toBe('two')
  mkdirSync(join(folder, 'in the way', 'full'), { recursive: true })
  await expect(writeFileDurably(join(folder, 'in the way'), 'three')).rejects.toThrow('EISDIR')
  expect(readdirSync(folder).toSorted()).toEqual(['in the way', 'settings'])
})
