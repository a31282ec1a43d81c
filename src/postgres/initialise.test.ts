import { describe, expect, it } from 'vitest'
import { bootstrapStatements, initdbArguments } from './initialise.ts'

const own = { folder: '/d', superuser: 'postgres', passwordFile: '/p', majorVersion: 18 }
const superuser = { name: 'postgres', password: 'super-secret' }
const replication = { name: 'replicator', password: 'stream-secret' }
const statements = (content: Partial<Parameters<typeof bootstrapStatements>[0]['content']>) =>
  bootstrapStatements({
    superuser,
    replication,
    majorVersion: 18,
    content: { users: [], databases: [], initdbArgs: [], ...content },
  })

describe('founding a cluster', () => {
  it('understands initdb arguments as people write them, and keeps its own last', () => {
    const args = initdbArguments(
      ['--locale=C', 'wal-segsize: 64', 'data-checksums', 'allow-group-access=true'],
      own,
    )
    // initdb takes the last of two.
    expect(args.filter((argument) => argument.startsWith('--wal-segsize')).at(-1)).toBe('--wal-segsize=64')
    expect(initdbArguments([], own)).toContain('--wal-segsize=4')
    expect(args).toContain('--allow-group-access')
    expect(args.slice(-3)).toEqual(['--username=postgres', '--pwfile=/p', '--pgdata=/d'])
    for (const argument of ['-D/elsewhere', 'pgdata: /elsewhere', '--pwprompt']) {
      expect(() => initdbArguments([argument], own)).toThrow(
        expect.objectContaining({ code: 'BOOTSTRAP_INVALID' }),
      )
    }
  })

  it('never puts a password into SQL', () => {
    const users = [{ name: 'app', password: 'app-secret', options: [] }]
    expect(statements({ users }).join('\n')).not.toMatch(/super-secret|stream-secret|app-secret/)
    expect(statements({ users }).filter((text) => text.includes('PASSWORD'))).toHaveLength(2)
  })

  it('quotes names, makes each role once and leaves what is there', () => {
    const made = statements({
      users: [
        { name: 'a"b', password: 'x', options: ['CREATEDB', 'connection limit 5'] },
        { name: 'nobody', password: 'x', options: ['nologin'] },
        { ...superuser, options: [] },
      ],
      databases: [
        { name: 'app', owner: 'a"b' },
        { name: 'postgres', owner: 'a"b' },
      ],
    })
    const own = made.filter((text) => !text.startsWith('GRANT'))
    expect(own).toHaveLength(4)
    expect(own[1]).toMatch(/^CREATE ROLE "a""b" LOGIN CREATEDB connection limit 5 PASSWORD 'SCRAM-SHA-256\$/)
    expect(own[2]).toMatch(/^CREATE ROLE "nobody" nologin PASSWORD/)
    expect(own[3]).toBe('CREATE DATABASE "app" OWNER "a""b"')
  })

  it('refuses options and names that would be something else in SQL', () => {
    const invalid = expect.objectContaining({ code: 'BOOTSTRAP_INVALID' })
    expect(() => statements({ users: [{ name: 'x', password: 'x', options: ['superuser; drop'] }] })).toThrow(
      invalid,
    )
    expect(() => statements({ databases: [{ name: 'x\n\ny', owner: 'x' }] })).toThrow(invalid)
  })
})
