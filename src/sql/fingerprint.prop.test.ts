import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { constants, fill, statements } from '../../test/support/sql-generator.ts'
import { statementCorpus } from '../../test/support/statement-corpus.ts'
import { analyse } from './analyse.ts'
import type { Analysis } from './analysis.ts'
import { FingerprintWriter } from './fingerprint.ts'
import { loadGrammar } from './grammar.ts'

const grammar = await loadGrammar()
const writer = new FingerprintWriter()

function fingerprintOf(text: string, standardStrings = true): string {
  const written = writer.write(text, { standardStrings })
  return written.kind === 'fingerprint' ? written.text : written.reason
}

/** Of what makes something, constants may be a part of what is made. */
const foldable = statements.filter((statement) => !statement.startsWith('create'))

/** Order apart: a list that is folded names nothing new. */
function comparable({ effects, functions, relations, fields, ...rest }: Analysis) {
  return {
    ...rest,
    effects,
    functions: new Set(functions),
    relations: new Set(relations),
    fields: new Set(fields),
  }
}

describe('a fingerprint', () => {
  it('is the same for other constants', () => {
    fc.assert(
      fc.property(foldable, constants, constants, (statement, one, other) => {
        expect(fingerprintOf(fill(statement, one))).toBe(fingerprintOf(fill(statement, other)))
      }),
    )
  })

  it('is the same for other space, comments and capitals', () => {
    fc.assert(
      fc.property(
        foldable,
        constants,
        fc.constantFrom('\n', '  ', ' /* x */ ', '\t-- y\n'),
        (statement, some, space) => {
          const text = fill(statement, { number: '1', text: some.text.toLowerCase() })
          const other = text
            .replaceAll(' ', space)
            .replaceAll(/[a-z]+(?=[^a-z'])/g, (word) => word.toUpperCase())
          expect(fingerprintOf(other)).toBe(fingerprintOf(text))
        },
      ),
    )
  })

  it('says what its statement says', () => {
    const expectSame = (text: string) => {
      const fingerprint = fingerprintOf(text)
      expect(comparable(analyse(fingerprint, grammar)), fingerprint).toEqual(
        comparable(analyse(text, grammar)),
      )
    }
    fc.assert(fc.property(statements, constants, (statement, some) => expectSame(fill(statement, some))))
    for (const { sql, reason } of statementCorpus)
      if (reason !== 'BROKEN' && sql !== '-- nothing') expectSame(sql)
  })

  it.each([
    ['select 1, 2, 3', 'select 0, $1, $1'],
    ['select * from t where id in (1)', 'select * from t where id in (0)'],
    ["where id IN (1, 2, 'x', $3, null)", 'where id in ($1, $1)'],
    ['select f(a, 1, 2, 3, b)', 'select f (a, $1, $1, b)'],
    ['insert into t values (1, true), (-2, default), (3, null)', 'insert into t values ($1, $1)'],
    ["values (1), (2), ('a'), ('b')", "values (0), ('?')"],
    ["select 'a' 'b'", "select '?' '?'"],
    ["select 'a'\n'b'", "select '?'"],
    ["select date '2020-01-01', interval '1' day", "select date '?', interval '?' day"],
    ['select -1, a = -1, a-1, a - -1, (-1), (- 1, +2)', 'select - 0, a = 0, a - 0, a - 0, (0), ($1, $1)'],
    [`select u&'x!0041' uescape '!', U&"a!0061" uescape '!'`, `select '?', U&"a!0061" uescape '!'`],
    ["set a = 'B'; select 'B'", "set a = 'B'; select '?'"],
    ['select a.b.c, (x).*, x[1:2], "Q".r::int', 'select a.b.c, (x).*, x [0 : 0], "Q".r :: int'],
    ['select 1;;select 2;', 'select 0;; select 0;'],
  ])('of %s is %s', (text, fingerprint) => {
    expect(fingerprintOf(text.startsWith('where') ? `select ${text}` : text)).toBe(
      text.startsWith('where') ? `select ${fingerprint}` : fingerprint,
    )
  })

  it('keeps a string that decides as its session reads it', () => {
    expect(fingerprintOf(String.raw`set a = 'x\''`, false)).toBe(String.raw`set a = e'x\''`)
    expect(fingerprintOf(String.raw`set a = N'x\\'`, false)).toBe(String.raw`set a = e'x\\'`)
    expect(fingerprintOf(String.raw`set a = E'\\', b = $$\$$`, false)).toBe(
      String.raw`set a = E'\\', b = $$\$$`,
    )
  })
})
