import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { canEnter, chooseDatabaseUser, parsePasswd } from './os-user.ts'

const users = parsePasswd(
  'root:x:0:0:root:/root:/bin/sh\n\n# a comment\nnobody:x:65534:65533::/nonexistent:/bin/false\npostgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash\n',
)

describe('database user', () => {
  it('is the owner of the data directory before anybody else', () => {
    const choose = (uid: number) =>
      chooseDatabaseUser({ users, ownerOfData: { uid, gid: 7 }, configured: 'postgres' })
    expect(choose(65534).name).toBe('nobody')
    expect(choose(4711)).toEqual({ name: '4711', uid: 4711, gid: 7, home: '/' })
    expect(choose(0).name).toBe('postgres')
  })

  it('is postgres, and nobody where there is no postgres', () => {
    expect(chooseDatabaseUser({ users, ownerOfData: undefined, configured: undefined }).uid).toBe(101)
    const few = users.filter((user) => user.name !== 'postgres')
    expect(chooseDatabaseUser({ users: few, ownerOfData: undefined, configured: undefined })).toMatchObject({
      uid: 65534,
      gid: 65533,
      home: '/nonexistent',
    })
  })

  it('is never root and never an unknown name', () => {
    for (const configured of ['root', 'nosuch']) {
      expect(() => chooseDatabaseUser({ users, ownerOfData: undefined, configured })).toThrow(
        expect.objectContaining({ code: 'OS_USER_UNKNOWN' }),
      )
    }
  })
})

describe('canEnter', () => {
  let folder: string | undefined
  afterEach(() => folder && rmSync(folder, { recursive: true, force: true }))

  it('asks every parent for the bit that concerns the user', () => {
    folder = mkdtempSync(join(tmpdir(), 'os-user-'))
    const own = { name: 'me', uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, home: '/' }
    const stranger = { name: 'stranger', uid: 4711, gid: 4711, home: '/' }
    const inner = join(folder, 'inner')
    mkdirSync(inner, { mode: 0o755 })
    expect(canEnter(join(inner, 'not-there-yet'), stranger)).toBe(false)
    chmodSync(folder, 0o711)
    expect(canEnter(inner, stranger)).toBe(true)
    chmodSync(inner, 0o750)
    expect(canEnter(inner, stranger)).toBe(false)
    expect(canEnter(inner, own)).toBe(true)
    expect(canEnter(inner, undefined)).toBe(true)
  })
})
