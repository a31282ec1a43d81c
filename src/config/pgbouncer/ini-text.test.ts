import { describe, expect, it } from 'vitest'
import { parseConnectString, parseIni } from './ini-text.ts'

/** What PgBouncer 1.18 itself says to each of these lines was looked at; quoted names are those of newer ones. */
describe('a line of pgbouncer.ini', () => {
  const only = (line: string) => parseIni(line, 'f.ini').map((item) => ({ ...item, place: undefined }))

  it.each([
    ['pool_mode = session', 'pool_mode', 'session'],
    ['  pool_mode=session \t\r', 'pool_mode', 'session'],
    ['a = 5 ; no comment', 'a', '5 ; no comment'],
    ['a = x # no comment', 'a', 'x # no comment'],
    ['b.c-d_e* = host=x', 'b.c-d_e*', 'host=x'],
    ['* =', '*', ''],
    ['"my ""db""" = host=x', 'my "db"', 'host=x'],
    ['a = b = c', 'a', 'b = c'],
  ])('%j is a setting', (line, name, value) => {
    expect(only(line)).toEqual([{ kind: 'setting', name, value }])
  })

  it.each(['', '   ', '; c', '   # [c]', ';a = b'])('%j says nothing', (line) =>
    expect(only(line)).toEqual([]),
  )

  it.each([
    'pool_mode',
    '= 5',
    'größe = host=x',
    '[databases',
    '%INCLUDE f',
    '%include',
    'a b = c',
    '"a = c',
  ])('%j is broken', (line) => expect(only(line)).toMatchObject([{ kind: 'broken' }]))

  it('may be a section with something behind it, and an include', () => {
    expect(only('[databases] a = port=1')).toEqual([
      { kind: 'section', name: 'databases' },
      { kind: 'setting', name: 'a', value: 'port=1' },
    ])
    expect(only('%include  /etc/other.ini ')).toEqual([{ kind: 'include', path: '/etc/other.ini' }])
  })

  it('has its place', () => {
    expect(parseIni('[a]\n\n  b = c\n', 'f.ini').map(({ place }) => place)).toEqual([
      { file: 'f.ini', line: 1, column: 1 },
      { file: 'f.ini', line: 3, column: 3 },
    ])
  })
})

describe('what stands behind a name', () => {
  const pairs = (text: string) => {
    const parsed = parseConnectString(text)
    return parsed.kind === 'pairs' ? parsed.pairs.map(({ name, value }) => `${name}:${value}`) : undefined
  }

  it.each([
    ['', []],
    ['dbname = x   pool_size = 5', ['dbname:x', 'pool_size:5']],
    [
      "dbname='it''s' connect_query='select ''a''' port=1",
      ["dbname:it's", "connect_query:select 'a'", 'port:1'],
    ],
    ["dbname=it's", ["dbname:it's"]],
    ["a='b c'  ", ['a:b c']],
  ])('%j is pairs', (text, wanted) => expect(pairs(text)).toEqual(wanted))

  it.each(["dbname=''", "dbname='x'port=5", 'dbname', "a='b", 'a=', '= x'])('%j is broken', (text) =>
    expect(pairs(text)).toBeUndefined(),
  )
})
