import { describe, expect, it } from 'vitest'
import { Lexer, type TokenKind } from './lexer.ts'

/** Tokens as `kind:text`, without space. */
function tokens(text: string, standardStrings = true): readonly string[] {
  const lexer = new Lexer(text, { standardStrings })
  const found: string[] = []
  while (lexer.next()) {
    if (lexer.kind !== 'space') found.push(`${lexer.kind}:${text.slice(lexer.start, lexer.end)}`)
  }
  return found
}

/** That the whole text is one token of this kind. */
function expectOne(kind: TokenKind, text: string, standardStrings = true): void {
  expect(tokens(text, standardStrings)).toEqual([`${kind}:${text}`])
}

describe('a string ends where PostgreSQL ends it', () => {
  it.each([
    String.raw`'a'`,
    String.raw`'it''s'`,
    String.raw`'a\'`,
    String.raw`E'a\'b'`,
    String.raw`e'\\'`,
    String.raw`N'x'`,
    String.raw`U&'\0041'`,
    `'a'\n'b'`,
    `'a' -- why\n  'b'`,
    `'a'\r\n\t'b'`,
    '$$a$b$$',
    `$t$ $$ ' $t$`,
    '$ü$ x $ü$',
    `''`,
  ])('%s', (text) => expectOne('string', text))

  it('with a backslash that escapes where standard_conforming_strings is off', () => {
    expectOne('string', String.raw`'a\'b'`, false)
    expect(tokens(String.raw`'a\' b'`, true)).toEqual([String.raw`string:'a\'`, `broken:b'`])
    // PostgreSQL refuses it there.
    expect(tokens(String.raw`U&'a'`, false)).toEqual([`broken:U&'a'`])
  })

  it('and goes on only behind a line break, not behind a comment of blocks', () => {
    expect(tokens(`'a' 'b'`)).toEqual([`string:'a'`, `string:'b'`])
    expect(tokens(`'a'\n/* x */'b'`)).toEqual([`string:'a'`, 'comment:/* x */', `string:'b'`])
    expect(tokens(`'a' -- b`)).toEqual([`string:'a'`, 'comment:-- b'])
  })

  it('and bit strings are no strings', () => {
    expectOne('bit-string', `B'01'`)
    expectOne('bit-string', `x'1F'`)
    expect(tokens(`b'1''0'`)).toEqual([`bit-string:b'1'`, `string:'0'`])
  })
})

describe('words', () => {
  it.each(['a', '_a$1', 'Ünï', 'select', 'u', 'e', 'x1'])('%s', (text) => expectOne('word', text))
  it.each(['"a b"', '"a""b"', '"\'"', 'U&"d\\0061t"'])('in quotes: %s', (text) =>
    expectOne('quoted-word', text),
  )
})

describe('numbers and parameters', () => {
  it.each(['1', '1.', '.5', '1.5e-3', '1e10', '0x1F', '0b01', '0o17', '1_000', '1.5E+2'])('%s', (text) =>
    expectOne('number', text),
  )
  it.each(['$1', '$23'])('%s', (text) => expectOne('parameter', text))
  it.each(['1a', '1.5x', '$1a', '1_', '0x', '0b12', '0xg', '0x1_'])('%s is refused as a whole', (text) =>
    expectOne('broken', text),
  )
  it('end before what begins a string', () => {
    expect(tokens('0x1F$$ a $$')).toEqual(['number:0x1F', 'string:$$ a $$'])
    expect(tokens('1$a$ b $a$')).toEqual(['number:1', 'string:$a$ b $a$'])
  })
  it('two dots are no fraction', () => {
    expect(tokens('1..x')).toEqual(['number:1', 'mark:..', 'word:x'])
  })
})

describe('comments', () => {
  it.each(['-- x', '/* x */', '/* /* x */ */', `/* ' */`, '/***/'])('%s', (text) =>
    expectOne('comment', text),
  )
  it('without an end swallow the rest', () => {
    expectOne('broken', '/* /* x */ select 1')
  })
  it('of a line end with the line', () => {
    expect(tokens('-- x\n1--y\r2')).toEqual(['comment:-- x', 'number:1', 'comment:--y', 'number:2'])
  })
})

describe('operators', () => {
  it.each(['<=', '=>', '->>', '@-', '!=-', '<->', '||', '#>>', '?|', '~~*'])('%s', (text) =>
    expectOne('operator', text),
  )
  it('lose signs at the end, which belong to what follows', () => {
    expect(tokens('a=-1')).toEqual(['word:a', 'operator:=', 'operator:-', 'number:1'])
    expect(tokens('*+-+')).toEqual(['operator:*', 'operator:+', 'operator:-', 'operator:+'])
  })
  it('end before a comment', () => {
    expect(tokens('+--x')).toEqual(['operator:+', 'comment:--x'])
    expect(tokens('=-/*x*/')).toEqual(['operator:=', 'operator:-', 'comment:/*x*/'])
  })
  it('casts and assignments are one mark', () => {
    expect(tokens('a::b[1:2]:=')).toEqual([
      'word:a',
      'mark:::',
      'word:b',
      'mark:[',
      'number:1',
      'mark::',
      'number:2',
      'mark:]',
      'mark::=',
    ])
  })
})

describe('what PostgreSQL does not know', () => {
  it.each(['{', '\\', '$', '""', '\u0000', `'a`, '"a', '$a$ x', `e'\\'`])('%j is broken', (text) => {
    expect(tokens(text)[0]).toMatch(/^broken:/)
  })
})
