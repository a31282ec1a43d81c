import { Lexer, type LexerOptions } from './lexer.ts'

/** Where a comment asks for a statement to go, as in `-- pg-metako: primary`. */
export type Hint = 'primary' | 'replica'

export type Fingerprint =
  | {
      readonly kind: 'fingerprint'
      /** SQL again: in small letters, without comments, with constants replaced. */
      readonly text: string
      readonly hint: Hint | undefined
    }
  | {
      readonly kind: 'unreadable'
      readonly reason: 'BROKEN' | 'TOO_LONG' | 'TOO_DEEP'
      readonly hint: Hint | undefined
    }

/**
 * Of the fingerprint, not of the text: a list of a million constants is short. The grammar and its tree recurse, and what
 * this many signs can nest must fit into the stack of a thread; a statement beyond it is rare and goes to the primary.
 */
export const FINGERPRINT_LENGTH_MAX = 12 * 1024
export const DEPTH_MAX = 200

const HINT_MARK = 'pg-metako:'

/** Statements whose constants change neither where they may run nor what they do to their session. */
const CONSTANTS_MEAN_NOTHING = new Set([
  'select',
  'insert',
  'update',
  'delete',
  'merge',
  'with',
  'values',
  'table',
  'explain',
  'copy',
  'call',
  'do',
  'execute',
  'declare',
  '(',
])

/** What stood last, as far as it matters for what follows. */
type Before = 'nothing' | 'opening' | 'closing' | 'comma' | 'dot' | 'word' | 'constant' | 'sign' | 'other'

const MINUS = 45
const PLUS = 43
const COMMA = 44
const DOT = 46
const SEMICOLON = 59
const OPEN = 40
const CLOSE = 41
const OPEN_BRACKET = 91
const CLOSE_BRACKET = 93
const STAR = 42
const SPACE = 32
const BACKSLASH = '\\'

/**
 * Makes fingerprints, one at a time, in one pass over the text. It keeps the room that it writes into between calls, and
 * nothing of a statement.
 *
 * A verdict is found from the fingerprint and from nothing else, so two statements with one fingerprint cannot have
 * different ones. Where a constant decides (`SET x = 'a'`), it stays. Two constants that follow each other in a list stand
 * for any number of them, and one row of constants for any number of the same.
 */
export class FingerprintWriter {
  /** An array of numbers: V8 makes a string of one several times faster than of a typed one. */
  readonly #out: number[] = Array.from({ length: FINGERPRINT_LENGTH_MAX }, () => SPACE)
  #lexer = new Lexer('', { standardStrings: true })
  #standardStrings = true
  #length = 0
  #isFull = false
  #depth = 0
  #before: Before = 'nothing'
  #folds = false
  #foldsTruth = false
  /** Constants that follow each other with commas between, up to two; where the first begins and the last ends. */
  #run = 0
  #runStart = 0
  #runEnd = 0
  /** Where a sign stands that may belong to a constant, and what was before it. */
  #signStart = 0
  #beforeSign: Before = 'nothing'
  /** Where the last bracket was opened. */
  #openAt = 0
  /** The last row of constants, while nothing but a comma follows it; and the one before the bracket that is open. */
  #rowStart = -1
  #rowEnd = -1
  #priorStart = -1
  #priorEnd = -1
  /** Behind U&'…' and U&"…", the escape sign that may follow: dropped with a constant, kept with what is kept. */
  #escape: 'none' | 'drop' | 'keep' | 'drop-next' | 'keep-next' = 'none'

  write(text: string, options: LexerOptions): Fingerprint {
    const lexer = new Lexer(text, options)
    this.#begin(lexer, options)
    let hint: Hint | undefined
    let reason: 'BROKEN' | 'TOO_LONG' | 'TOO_DEEP' | undefined
    while (lexer.next()) {
      if (lexer.kind === 'space') continue
      if (lexer.kind === 'comment') {
        hint = stricter(hint, hintOf(text.slice(lexer.start, lexer.end)))
        continue
      }
      // Comments behind it may still ask for the primary.
      if (reason !== undefined) continue
      if (lexer.kind === 'broken') reason = 'BROKEN'
      else this.#token()
      if (this.#isFull) reason = 'TOO_LONG'
      else if (this.#depth > DEPTH_MAX) reason = 'TOO_DEEP'
    }
    if (reason !== undefined) return { kind: 'unreadable', reason, hint }
    return { kind: 'fingerprint', text: textOf(this.#out, this.#length), hint }
  }

  #begin(lexer: Lexer, { standardStrings }: LexerOptions): void {
    this.#lexer = lexer
    this.#standardStrings = standardStrings
    this.#length = 0
    this.#isFull = false
    this.#depth = 0
    this.#beginStatement()
  }

  #beginStatement(): void {
    this.#before = 'nothing'
    this.#run = 0
    this.#rowEnd = -1
    this.#escape = 'none'
  }

  #token(): void {
    const { kind } = this.#lexer
    if (this.#before === 'nothing') this.#chooseFolding()
    if (this.#escape !== 'none' && this.#isEscape()) return
    switch (kind) {
      case 'word':
        return this.#word()
      case 'quoted-word':
        this.#escape = this.#lexer.isUnicode ? 'keep' : 'none'
        return this.#verbatim('word')
      case 'string':
        this.#escape = this.#lexer.isUnicode ? (this.#folds ? 'drop' : 'keep') : 'none'
        return this.#folds ? this.#constant("'?'") : this.#keptString()
      case 'bit-string':
        return this.#folds ? this.#constant("b''") : this.#verbatim('constant')
      case 'number':
        return this.#folds ? this.#constant('0') : this.#verbatim('constant')
      case 'parameter':
        return this.#folds ? this.#constant('$1') : this.#verbatim('constant')
      case 'operator':
        return this.#operator()
      case 'mark':
        return this.#mark()
      // The caller takes these.
      case 'space':
      case 'comment':
      case 'broken':
        return undefined
    }
  }

  #chooseFolding(): void {
    const { text, start, end } = this.#lexer
    const first = end - start > 8 ? '' : text.slice(start, end).toLowerCase()
    this.#folds = CONSTANTS_MEAN_NOTHING.has(first)
    // Elsewhere they may decide: `set_config(…, true)` ends with the transaction.
    this.#foldsTruth = first === 'insert'
  }

  /** True where the token is part of an escape clause. */
  #isEscape(): boolean {
    const { kind, text, start, end } = this.#lexer
    const state = this.#escape
    this.#escape = 'none'
    if (state === 'drop-next') return kind === 'string'
    if (state === 'keep-next') {
      if (kind !== 'string') return false
      this.#verbatim('constant')
      return true
    }
    if (kind !== 'word' || text.slice(start, end).toLowerCase() !== 'uescape') return false
    this.#escape = state === 'drop' ? 'drop-next' : 'keep-next'
    if (state === 'keep') this.#lowered()
    return true
  }

  #word(): void {
    const { start, end } = this.#lexer
    const length = end - start
    if (length >= 4 && length <= 7 && this.#folds && this.#beginsElement(this.#before)) {
      const word = this.#lexer.text.slice(start, end).toLowerCase()
      const isTruth = word === 'true' || word === 'false'
      if (word === 'null' || word === 'default' || (isTruth && this.#foldsTruth)) return this.#constant(word)
    }
    this.#lowered()
  }

  #lowered(): void {
    const { text, start, end } = this.#lexer
    this.#space('word')
    this.#copy(text, start, end)
    const out = this.#out
    for (let at = this.#length - (end - start); at < this.#length; at += 1) {
      const code = out[at] ?? 0
      if (code >= 65 && code <= 90) out[at] = code | 32
    }
    this.#other('word')
  }

  #verbatim(before: Before): void {
    const { text, start, end } = this.#lexer
    this.#space(before)
    this.#copy(text, start, end)
    this.#other(before)
  }

  /** A fingerprint is read with standard strings, whatever its session has. */
  #keptString(): void {
    const { text, start, end } = this.#lexer
    const quote = text.indexOf("'", start)
    const isEscaped = (text.charCodeAt(start) | 32) === 101
    if (this.#standardStrings || isEscaped || text.charCodeAt(start) === 36) return this.#verbatim('constant')
    if (!text.slice(quote, end).includes(BACKSLASH)) return this.#verbatim('constant')
    this.#space('constant')
    this.#sign(101)
    this.#copy(text, quote, end)
    this.#other('constant')
  }

  #beginsElement(before: Before): boolean {
    return before === 'opening' || before === 'comma'
  }

  /** `stand` is never an empty string: the grammar leaves out what is empty, and a COPY to no file is one to the client. */
  #constant(stand: string): void {
    let before = this.#before
    if (before === 'sign') {
      this.#length = this.#signStart
      before = this.#beforeSign
      this.#before = before
    }
    if (!this.#beginsElement(before)) {
      this.#space('constant')
      this.#copy(stand, 0, stand.length)
      return this.#other('constant')
    }
    if (before === 'opening') this.#run = 0
    if (this.#run === 0) {
      this.#space('constant')
      this.#runStart = this.#length
      this.#copy(stand, 0, stand.length)
      this.#run = 1
    } else if (this.#run === 1) {
      this.#length = this.#runStart
      // A parameter may stand wherever a constant may.
      this.#copy('$1, $1', 0, 6)
      this.#run = 2
    } else this.#length = this.#runEnd
    this.#runEnd = this.#length
    this.#before = 'constant'
  }

  #operator(): void {
    const { text, start, end } = this.#lexer
    const code = text.charCodeAt(start)
    const isSign = end - start === 1 && (code === MINUS || code === PLUS) && this.#folds
    const before = this.#before
    // Behind a word it may be an operator between two values.
    if (isSign && (this.#beginsElement(before) || before === 'other')) {
      const length = this.#length
      this.#space('other')
      this.#sign(code)
      this.#signStart = length
      this.#beforeSign = before
      this.#before = 'sign'
      return
    }
    if (before === 'dot' && code === STAR && end - start === 1) this.#sign(code)
    else {
      this.#space('other')
      this.#copy(text, start, end)
    }
    this.#other('other')
  }

  #mark(): void {
    const { text, start, end } = this.#lexer
    const code = text.charCodeAt(start)
    if (end - start === 1) {
      if (code === COMMA) return this.#comma()
      if (code === OPEN || code === OPEN_BRACKET) return this.#open(code)
      if (code === CLOSE || code === CLOSE_BRACKET) return this.#close(code)
      if (code === SEMICOLON) {
        this.#sign(code)
        return this.#beginStatement()
      }
      if (code === DOT) {
        if (this.#before !== 'word' && this.#before !== 'closing') this.#space('other')
        this.#sign(code)
        return this.#other('dot')
      }
    }
    this.#space('other')
    this.#copy(text, start, end)
    this.#other('other')
  }

  #comma(): void {
    if (this.#before !== 'constant') this.#run = 0
    if (this.#rowEnd !== this.#length) this.#rowEnd = -1
    this.#sign(COMMA)
    this.#before = 'comma'
  }

  #open(code: number): void {
    this.#depth += 1
    // Only what follows the last row and its comma can be one row more.
    this.#priorStart = this.#rowStart
    this.#priorEnd = this.#before === 'comma' ? this.#rowEnd : -1
    this.#rowEnd = -1
    this.#space('other')
    this.#openAt = this.#length
    this.#sign(code)
    this.#run = 0
    this.#before = 'opening'
  }

  #close(code: number): void {
    this.#depth -= 1
    const isRow = this.#before === 'constant' && this.#run > 0 && this.#runStart === this.#openAt + 1
    this.#sign(code)
    if (!isRow) return this.#other('closing')
    const repeats = this.#priorEnd >= 0 && this.#isSame(this.#openAt, this.#priorStart, this.#priorEnd)
    if (repeats) this.#length = this.#priorEnd
    this.#rowStart = repeats ? this.#priorStart : this.#openAt
    this.#rowEnd = this.#length
    this.#run = 0
    this.#before = 'closing'
  }

  /** Is what was written from `from` on the same as what stands between the other two? */
  #isSame(from: number, otherFrom: number, otherEnd: number): boolean {
    if (this.#length - from !== otherEnd - otherFrom) return false
    for (let at = from; at < this.#length; at += 1) {
      if (this.#out[at] !== this.#out[otherFrom + at - from]) return false
    }
    return true
  }

  /** What ends a run of constants and a row. */
  #other(before: Before): void {
    this.#run = 0
    this.#rowEnd = -1
    this.#before = before
  }

  #space(next: Before): void {
    if (this.#length === 0 || this.#before === 'opening') return
    if (this.#before === 'dot' && next === 'word') return
    this.#sign(SPACE)
  }

  #copy(text: string, start: number, end: number): void {
    if (this.#length + end - start > FINGERPRINT_LENGTH_MAX) {
      this.#isFull = true
      return
    }
    const out = this.#out
    let length = this.#length
    for (let at = start; at < end; at += 1) {
      out[length] = text.charCodeAt(at)
      length += 1
    }
    this.#length = length
  }

  #sign(code: number): void {
    if (this.#length >= FINGERPRINT_LENGTH_MAX) this.#isFull = true
    else {
      this.#out[this.#length] = code
      this.#length += 1
    }
  }
}

/** Arguments of one call: engines allow some ten thousand. */
const CHUNK = 8192

function textOf(signs: readonly number[], length: number): string {
  if (length <= CHUNK) return String.fromCharCode.apply(undefined, signs.slice(0, length))
  let text = ''
  for (let at = 0; at < length; at += CHUNK) {
    text += String.fromCharCode.apply(undefined, signs.slice(at, Math.min(length, at + CHUNK)))
  }
  return text
}

function hintOf(comment: string): Hint | undefined {
  const at = comment.indexOf(HINT_MARK)
  if (at < 0) return undefined
  const word = comment.slice(at + HINT_MARK.length, at + HINT_MARK.length + 16).trimStart()
  if (word.startsWith('primary')) return 'primary'
  return word.startsWith('replica') ? 'replica' : undefined
}

function stricter(one: Hint | undefined, other: Hint | undefined): Hint | undefined {
  return one === 'primary' || other === undefined ? one : other
}
