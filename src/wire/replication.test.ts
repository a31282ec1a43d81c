import { describe, expect, it } from 'vitest'
import { parseAuthentication, saslInitialBody } from './authentication.ts'
import { parseBackupMessage, parseDataRow, parseRowDescription } from './replication.ts'

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')

describe('BASE_BACKUP messages', () => {
  it('are told apart', () => {
    expect(parseBackupMessage(Buffer.from('nbase.tar\0\0', 'latin1'))).toEqual({
      kind: 'archive',
      name: 'base.tar',
      tablespacePath: '',
    })
    expect(parseBackupMessage(Buffer.from('n16384.tar\0/mnt/fast\0', 'latin1'))).toMatchObject({
      tablespacePath: '/mnt/fast',
    })
    expect(parseBackupMessage(Buffer.from('dxyz'))).toEqual({ kind: 'data', bytes: Buffer.from('xyz') })
    expect(parseBackupMessage(hex('70 0000000000010000'))).toEqual({ kind: 'progress', bytesDone: 65536n })
    expect(parseBackupMessage(Buffer.from('m'))).toEqual({ kind: 'manifest' })
    expect(parseBackupMessage(Buffer.from('z'))).toEqual({ kind: 'unknown', type: 0x7a })
  })

  it('that are cut off are not read', () => {
    for (const body of ['', 'nbase', 'nbase\0', 'p123']) {
      expect(parseBackupMessage(Buffer.from(body))).toBeUndefined()
    }
  })
})

describe('text rows', () => {
  it('keep empty text and NULL apart', () => {
    expect(parseDataRow(hex('0003 00000002 6162 ffffffff 00000000'))).toEqual(['ab', null, ''])
    expect(parseDataRow(hex('0001 00000005 6162'))).toBeUndefined()
    expect(parseDataRow(hex('0002 00000001 61'))).toBeUndefined()
  })

  it('carry the names of their columns', () => {
    const column = (name: string) => Buffer.concat([Buffer.from(`${name}\0`), Buffer.alloc(18)])
    expect(parseRowDescription(Buffer.concat([hex('0002'), column('systemid'), column('tli')]))).toEqual([
      'systemid',
      'tli',
    ])
    expect(parseRowDescription(Buffer.concat([hex('0002'), column('systemid')]))).toBeUndefined()
  })
})

describe('authentication messages', () => {
  it('are told apart by their code', () => {
    expect(parseAuthentication(hex('00000000'))).toEqual({ kind: 'ok' })
    expect(parseAuthentication(hex('00000003'))).toEqual({ kind: 'cleartext' })
    expect(parseAuthentication(hex('00000005 01020304'))).toEqual({ kind: 'md5', salt: hex('01020304') })
    const sasl = Buffer.concat([hex('0000000a'), Buffer.from('SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0')])
    expect(parseAuthentication(sasl)).toEqual({
      kind: 'sasl',
      mechanisms: ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256'],
    })
    expect(parseAuthentication(hex('0000000b 723d'))).toEqual({ kind: 'saslContinue', data: 'r=' })
    expect(parseAuthentication(hex('0000000c 763d'))).toEqual({ kind: 'saslFinal', data: 'v=' })
    expect(parseAuthentication(hex('00000007'))).toEqual({ kind: 'unsupported', code: 7 })
    expect(parseAuthentication(hex('0000'))).toBeUndefined()
    expect(parseAuthentication(hex('00000005 01'))).toBeUndefined()
  })

  it('choose a mechanism with a counted first message', () => {
    expect(saslInitialBody('S', 'n,,')).toEqual(hex('53 00 00000003 6e2c2c'))
  })
})
