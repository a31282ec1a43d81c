import { describe, expect, it } from 'vitest'
import { byteLength, folderOf, resolvePath, shortHash } from './path-text.ts'

describe('paths as text', () => {
  it('resolve as the system would, without asking it', () => {
    const cases = [
      ['/etc/pg', 'a.yaml', '/etc/pg/a.yaml'],
      ['/etc/pg', '../a.yaml', '/etc/a.yaml'],
      ['/etc/pg', '/run/x', '/run/x'],
      ['/', '../../x', '/x'],
      ['.', 'conf/./a.yaml', 'conf/a.yaml'],
      ['conf', '../..', '..'],
      ['a', '..', '.'],
    ] as const
    for (const [folder, path, wanted] of cases) expect(resolvePath(folder, path)).toBe(wanted)
    expect(['/etc/pg/a', '/a', 'a', 'b/a'].map(folderOf)).toEqual(['/etc/pg', '/', '.', 'b'])
  })

  it('are counted in bytes and named by a stable hash', () => {
    expect(byteLength('/srv/데이터')).toBe(14)
    // FNV-1a's published values.
    expect([shortHash(''), shortHash('a'), shortHash('foobar')]).toEqual(['811c9dc5', 'e40c292c', 'bf9cf968'])
  })
})
