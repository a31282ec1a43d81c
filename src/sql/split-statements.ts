import { Lexer, type LexerOptions } from './lexer.ts'

export type StatementRange = { readonly start: number; readonly end: number }

/** Words that may stand between CREATE and what is made. */
const MADE = new Set(['or', 'replace', 'function', 'procedure'])

/**
 * The statements of a simple query, without the semicolons and without what is empty. A semicolon in brackets ends nothing,
 * nor does one between BEGIN and END of a function's body.
 */
export function splitStatements(text: string, options: LexerOptions): readonly StatementRange[] {
  const lexer = new Lexer(text, options)
  const ranges: StatementRange[] = []
  const body = new BodyDepth()
  let start = -1
  let end = 0
  let depth = 0
  while (lexer.next()) {
    const { kind } = lexer
    if (kind === 'space' || kind === 'comment') continue
    const sign = kind === 'mark' ? text[lexer.start] : undefined
    if (sign === ';' && depth <= 0 && body.depth === 0) {
      if (start >= 0) ranges.push({ start, end })
      start = -1
      body.reset()
      continue
    }
    if (start < 0) start = lexer.start
    end = lexer.end
    if (sign === '(' || sign === '[') depth += 1
    if (sign === ')' || sign === ']') depth -= 1
    if (kind === 'word' && depth === 0) body.word(text.slice(lexer.start, lexer.end).toLowerCase())
  }
  if (start >= 0) ranges.push({ start, end })
  return ranges
}

/** How deep in BEGIN … END of `CREATE FUNCTION … BEGIN ATOMIC`. */
class BodyDepth {
  depth = 0
  #words = 0
  #isCreate = false
  #isRoutine = false

  reset(): void {
    this.depth = 0
    this.#words = 0
    this.#isCreate = false
    this.#isRoutine = false
  }

  word(word: string): void {
    this.#words += 1
    if (this.#words === 1) this.#isCreate = word === 'create'
    else if (this.#isCreate && this.#words <= 4) {
      this.#isRoutine ||= word === 'function' || word === 'procedure'
      this.#isCreate = MADE.has(word)
    }
    if (!this.#isRoutine) return
    if (word === 'begin' || (word === 'case' && this.depth > 0)) this.depth += 1
    if (word === 'end' && this.depth > 0) this.depth -= 1
  }
}
