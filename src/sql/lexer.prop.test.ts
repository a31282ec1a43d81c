import fc from 'fast-check'
import { loadModule, scanSync } from 'libpg-query'
import { describe, expect, it } from 'vitest'
import { FINGERPRINT_LENGTH_MAX, FingerprintWriter } from './fingerprint.ts'
import { Lexer } from './lexer.ts'
import { splitStatements } from './split-statements.ts'
import { unclassifiedEffects } from './unclassified.ts'

/** Pieces in which something begins, ends or nests: random text hardly ever hits two of them. */
const pieces = [
  ...`' " $ $$ $a$ \\ E' U&' u&" n' b' /* */ -- \n \r ( ) [ ] , ; . : :: := + - * / = < > @ # ~ 1 1.5 $1 0x 1e _ a select`.split(
    ' ',
  ),
  ...[
    'set',
    'insert',
    'null',
    'uescape',
    ' ',
    '\t',
    'ü',
    '\u{1F600}',
    '\uD800',
    '\u0000',
    'create function',
    'begin',
    'end',
  ],
]
const sqlLike = fc
  .array(fc.oneof(fc.constantFrom(...pieces), fc.string()), { maxLength: 80 })
  .map((parts) => parts.join(''))

await loadModule()

describe('the lexer', () => {
  it('cuts as PostgreSQL does', () => {
    const ascii = fc
      .array(fc.constantFrom(...pieces), { maxLength: 10 })
      .map((parts) => parts.join('').replaceAll(/[^\u0001-\u007f]/g, ''))
    let compared = 0
    fc.assert(
      fc.property(ascii, (text) => {
        const theirs = scanned(text)
        const lexer = new Lexer(text, { standardStrings: true })
        const ours: string[] = []
        let isBroken = false
        while (lexer.next()) {
          isBroken ||= lexer.kind === 'broken'
          // The letter of a national string is a token of its own there.
          const isNational = lexer.kind === 'string' && /^n/i.test(text.slice(lexer.start, lexer.end))
          if (isNational) ours.push(`${lexer.start}-${lexer.start + 1}`)
          if (lexer.kind !== 'space') ours.push(`${lexer.start + Number(isNational)}-${lexer.end}`)
        }
        if (theirs === undefined) return
        // Signs alone that no grammar takes are tokens there; and it lets a name follow a parameter, for its own use.
        if (isBroken) expect(text).toMatch(/[$\\]/)
        else expect(ours).toEqual(theirs)
        compared += Number(!isBroken)
      }),
      { numRuns: 5000 },
    )
    expect(compared).toBeGreaterThan(1000)
  })

  it('covers any text with tokens that follow each other, and none is empty', () => {
    fc.assert(
      fc.property(sqlLike, fc.boolean(), (text, standardStrings) => {
        const lexer = new Lexer(text, { standardStrings })
        let at = 0
        while (lexer.next()) {
          expect(lexer.start).toBe(at)
          expect(lexer.end).toBeGreaterThan(at)
          at = lexer.end
        }
        expect(at).toBe(text.length)
      }),
      { numRuns: 2000 },
    )
  })

  it('gives the same tokens for bytes as Latin-1 as for decoded text', () => {
    fc.assert(
      fc.property(
        sqlLike.filter((text) => !text.includes('\uD800')),
        (text) => {
          const kinds = (one: string) => {
            const lexer = new Lexer(one, { standardStrings: true })
            const found: string[] = []
            while (lexer.next()) found.push(lexer.kind)
            return found
          }
          expect(kinds(Buffer.from(text, 'utf8').toString('latin1'))).toEqual(kinds(text))
        },
      ),
    )
  })

  it('reads no sign more often than a few times, whatever it is given', () => {
    const repeated = [
      ...pieces,
      `'a' `,
      `'a'\n`,
      '$a',
      `$a$b`,
      '=-',
      '+-',
      `""`,
      `'\n`,
      '--\n',
      '/*/',
      "e'\\",
      '1.',
      '(1),',
    ]
    for (const piece of repeated) {
      for (const end of ['', `'`, '"', '*/', '$a$', ';']) {
        expect(readsPerSign(piece.repeat(3000) + end), JSON.stringify(piece + end)).toBeLessThan(16)
      }
    }
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 6 }), (some) => {
        const text = some.join('')
        if (text === '') return
        expect(readsPerSign(text.repeat(Math.ceil(5000 / text.length)))).toBeLessThan(16)
      }),
    )
  })
})

/** Where PostgreSQL's own scanner cuts; `undefined` where it refuses the text. */
function scanned(text: string): readonly string[] | undefined {
  try {
    return scanSync(text).tokens.map(({ start, end }) => `${start}-${end}`)
  } catch {
    return undefined
  }
}

/** A text that counts what is read of it. */
function readsPerSign(text: string): number {
  let reads = 0
  const counting = {
    length: text.length,
    charCodeAt: (at: number) => {
      reads += 1
      return text.charCodeAt(at)
    },
    slice: (start: number, end: number) => {
      reads += end - start
      return text.slice(start, end)
    },
    indexOf: (what: string, from: number) => {
      const found = text.indexOf(what, from)
      reads += (found < 0 ? text.length : found) - from
      return found
    },
  }
  const lexer = new Lexer(counting as never, { standardStrings: true })
  while (lexer.next());
  return reads / text.length
}

describe('what is made of tokens', () => {
  const writer = new FingerprintWriter()

  it('never throws, and stays within its length', () => {
    fc.assert(
      fc.property(sqlLike, fc.boolean(), (text, standardStrings) => {
        const written = writer.write(text, { standardStrings })
        if (written.kind === 'fingerprint')
          expect(written.text.length).toBeLessThanOrEqual(FINGERPRINT_LENGTH_MAX)
        unclassifiedEffects(text, { standardStrings })
        let before = 0
        for (const { start, end } of splitStatements(text, { standardStrings })) {
          expect(start).toBeGreaterThanOrEqual(before)
          expect(end).toBeGreaterThan(start)
          before = end
        }
      }),
      { numRuns: 2000 },
    )
  })

  it('a fingerprint is its own fingerprint', () => {
    fc.assert(
      fc.property(sqlLike, fc.boolean(), (text, standardStrings) => {
        const first = writer.write(text, { standardStrings })
        if (first.kind !== 'fingerprint') return
        expect(writer.write(first.text, { standardStrings: true })).toMatchObject({ text: first.text })
      }),
      { numRuns: 2000 },
    )
  })
})
