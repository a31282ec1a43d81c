import { describe, expect, it } from 'vitest'
import { parseStoredSecret, parseUserList } from './stored-secret.ts'

const VERIFIER =
  'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU='

describe('userlist.txt', () => {
  it('reads passwords, md5 hashes and verifiers, as PgBouncer does', () => {
    const list = parseUserList(
      [
        '; a comment',
        '# another',
        '',
        '"plain" "it ""quotes"""',
        `"m" "md5${'a'.repeat(32)}" whatever stands here`,
        `  "s"\t"${VERIFIER}"\r`,
        '"nobody" ""',
      ].join('\n'),
    )
    if (list.kind !== 'users') throw new Error(`line ${list.line}`)
    expect([...list.secrets.keys()]).toEqual(['plain', 'm', 's', 'nobody'])
    expect(list.secrets.get('plain')).toEqual({ kind: 'plain', password: 'it "quotes"' })
    expect(list.secrets.get('m')).toEqual({ kind: 'md5', stored: `md5${'a'.repeat(32)}` })
    expect(list.secrets.get('s')).toMatchObject({ kind: 'scram', verifier: { iterations: 4096 } })
    expect(list.secrets.get('nobody')).toEqual({ kind: 'plain', password: '' })
  })

  it('names the line that it cannot read', () => {
    expect(parseUserList('"a" "b"\nuser password\n')).toEqual({ kind: 'malformed', line: 2 })
    expect(parseUserList('"a" "b')).toEqual({ kind: 'malformed', line: 1 })
  })

  it('takes what only looks like a hash for a password', () => {
    for (const text of ['md5', `md5${'A'.repeat(32)}`, 'SCRAM-SHA-256$0:YQ==$YQ==:YQ==', 'SCRAM-SHA-256$']) {
      expect(parseStoredSecret(text)).toEqual({ kind: 'plain', password: text })
    }
  })
})
