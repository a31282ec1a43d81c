/*
 * The room of SQL: is a statement a read, what does it do to its session. A lexer, a fingerprint, PostgreSQL's own grammar
 * (grammar.ts, the one file that holds a package) and the facts of a catalog, which come in as arguments. It proves reads:
 * what is not proven goes to the primary. Nothing here sends a statement anywhere, asks a database or the time.
 */

export type TokenKind =
  | 'space'
  | 'comment'
  /** An identifier or keyword without quotes. */
  | 'word'
  | 'quoted-word'
  | 'string'
  | 'bit-string'
  | 'number'
  | 'parameter'
  | 'operator'
  /** One of `( ) [ ] , ; . .. : :: :=`. */
  | 'mark'
  /** What PostgreSQL would refuse before its grammar sees it: something without an end, a sign that it does not know. */
  | 'broken'

export type LexerOptions = {
  /** The session's `standard_conforming_strings`: off makes a backslash in '…' an escape. */
  readonly standardStrings: boolean
}

const NEWLINE = 10
const RETURN = 13
const QUOTE = 39
const DOUBLE_QUOTE = 34
const DOLLAR = 36
const AND = 38
const STAR = 42
const PLUS = 43
const MINUS = 45
const DOT = 46
const SLASH = 47
const ZERO = 48
const COLON = 58
const EQUALS = 61
const UNDERSCORE = 95
const BACKSLASH = 92

/** By the letter behind the zero. */
const BASES = new Map([
  [120, 16],
  [111, 8],
  [98, 2],
])

const OPERATOR = 1
const MARK = 2
const SPACE = 4
const DIGIT = 8
/** Begins an identifier. */
const LETTER = 16
/** An operator that has one of these may end in + or -. */
const FREE_OPERATOR = 32

const CLASSES = classTable()

function classTable(): Uint8Array {
  const table = new Uint8Array(128)
  const add = (signs: string, bits: number) => {
    for (const sign of signs) table[sign.charCodeAt(0)] = (table[sign.charCodeAt(0)] ?? 0) | bits
  }
  add('~!@#^&|`?+-*/%<>=', OPERATOR)
  add('~!@#^&|`?%', FREE_OPERATOR)
  add('()[],;.:', MARK)
  add(' \t\n\r\f\v', SPACE)
  add('0123456789', DIGIT)
  add('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_', LETTER)
  return table
}

/** Of no class is what lies behind the end (NaN) and what PostgreSQL does not know; everything above ASCII is a letter. */
function classOf(code: number): number {
  return code < 128 ? (CLASSES[code] ?? 0) : code >= 128 ? LETTER : 0
}

/**
 * Cuts text into tokens as PostgreSQL 18 does. Text may be decoded or bytes as Latin-1: above ASCII everything is part of an
 * identifier, so both give the same tokens. Invariant: tokens follow each other without a gap, and none is empty; no sign is
 * read more than a fixed number of times, so the whole takes linear time.
 */
export class Lexer {
  kind: TokenKind = 'space'
  start = 0
  end = 0
  /** Of a string: written as U&'…', whose escape sign may follow; of a quoted word the same. */
  isUnicode = false
  readonly text: string
  readonly #standardStrings: boolean
  /** Where the operator signs end that were read last. */
  #runEnd = 0

  constructor(text: string, options: LexerOptions) {
    this.text = text
    this.#standardStrings = options.standardStrings
  }

  /** Takes the next token; false at the end. */
  next(): boolean {
    const from = this.end
    if (from >= this.text.length) return false
    this.start = from
    this.isUnicode = false
    const code = this.text.charCodeAt(from)
    const sort = classOf(code)
    if ((sort & SPACE) !== 0) this.#take('space', this.#whileClass(from, SPACE))
    else if ((sort & LETTER) !== 0) this.#word(from, code)
    else if ((sort & DIGIT) !== 0) this.#number(from)
    else if (code === DOT && (this.#classAt(from + 1) & DIGIT) !== 0) this.#number(from)
    else if (code === QUOTE) this.#string(from, !this.#standardStrings)
    else if (code === DOUBLE_QUOTE) this.#quotedWord(from)
    else if (code === DOLLAR) this.#dollar(from)
    else if ((sort & OPERATOR) !== 0) this.#operatorOrComment(from, code)
    else if ((sort & MARK) !== 0) this.#take('mark', from + this.#markLength(from, code))
    else this.#take('broken', from + 1)
    return true
  }

  #take(kind: TokenKind, end: number): void {
    this.kind = kind
    this.end = end
  }

  /** Without an end: the rest of the text belongs to it. */
  #endless(): void {
    this.#take('broken', this.text.length)
  }

  #classAt(at: number): number {
    return classOf(this.text.charCodeAt(at))
  }

  #whileClass(from: number, classes: number): number {
    let at = from
    while ((this.#classAt(at) & classes) !== 0) at += 1
    return at
  }

  /** The end of an identifier's rest: letters, digits and `$`. */
  #wordEnd(from: number): number {
    let at = from
    for (;;) {
      const code = this.text.charCodeAt(at)
      if ((classOf(code) & (LETTER | DIGIT)) === 0 && code !== DOLLAR) return at
      at += 1
    }
  }

  #word(from: number, code: number): void {
    const following = this.text.charCodeAt(from + 1)
    const small = code | 32
    if (following === QUOTE) {
      if (small === 101) return this.#string(from + 1, true) // e'…'
      if (small === 110) return this.#string(from + 1, !this.#standardStrings) // n'…'
      if (small === 98 || small === 120) return this.#bitString(from + 1) // b'…' and x'…'
    }
    if (small === 117 && following === AND) {
      const sign = this.text.charCodeAt(from + 2) // u&'…' and u&"…"
      if (sign === QUOTE || sign === DOUBLE_QUOTE) {
        this.isUnicode = true
        if (sign === DOUBLE_QUOTE) return this.#quotedWord(from + 2)
        // PostgreSQL refuses it where a backslash would escape twice.
        this.#string(from + 2, false)
        if (!this.#standardStrings) this.kind = 'broken'
        return
      }
    }
    this.#take('word', this.#wordEnd(from + 1))
  }

  #number(from: number): void {
    const at = this.#basedEnd(from) ?? this.#decimalEnd(from)
    const isJunk = at < 0 || (this.#classAt(at) & (LETTER | DIGIT)) !== 0
    if (isJunk) this.#take('broken', this.#wordEnd(Math.max(at, from)))
    else this.#take('number', at)
  }

  /** Of `0x…`, `0o…` and `0b…`: below 0 where no digit follows. */
  #basedEnd(from: number): number | undefined {
    if (this.text.charCodeAt(from) !== ZERO) return undefined
    const base = BASES.get(this.text.charCodeAt(from + 1) | 32)
    if (base === undefined) return undefined
    let at = from + 2
    for (;;) {
      const digitAt = this.text.charCodeAt(at) === UNDERSCORE ? at + 1 : at
      if (digitOf(this.text.charCodeAt(digitAt)) >= base) return at === from + 2 ? -1 : at
      at = digitAt + 1
    }
  }

  #decimalEnd(from: number): number {
    let at = this.#digits(from)
    // `1..2` are two numbers with two dots between.
    if (this.text.charCodeAt(at) === DOT && this.text.charCodeAt(at + 1) !== DOT) at = this.#digits(at + 1)
    if ((this.text.charCodeAt(at) | 32) !== 101) return at
    const sign = this.text.charCodeAt(at + 1)
    const digitsFrom = sign === PLUS || sign === MINUS ? at + 2 : at + 1
    return (this.#classAt(digitsFrom) & DIGIT) === 0 ? at : this.#digits(digitsFrom)
  }

  #digits(from: number): number {
    let at = from
    for (;;) {
      if ((this.#classAt(at) & DIGIT) !== 0) at += 1
      else if (this.text.charCodeAt(at) === UNDERSCORE && (this.#classAt(at + 1) & DIGIT) !== 0) at += 2
      else return at
    }
  }

  /** From an opening quote; parts that a line break separates are one string. */
  #string(from: number, hasEscapes: boolean): void {
    let open = from
    for (;;) {
      const close = this.#closingQuote(open + 1, hasEscapes)
      if (close < 0) return this.#endless()
      open = this.#continuation(close + 1)
      if (open < 0) return this.#take('string', close + 1)
    }
  }

  /** Two quotes in it are its end and the beginning of something else. */
  #bitString(from: number): void {
    let open = from
    for (;;) {
      const close = this.text.indexOf("'", open + 1)
      if (close < 0) return this.#endless()
      open = this.#continuation(close + 1)
      if (open < 0) return this.#take('bit-string', close + 1)
    }
  }

  #closingQuote(from: number, hasEscapes: boolean): number {
    let at = from
    while (at < this.text.length) {
      const code = this.text.charCodeAt(at)
      if (code === BACKSLASH && hasEscapes) at += 2
      else if (code !== QUOTE) at += 1
      else if (this.text.charCodeAt(at + 1) === QUOTE) at += 2
      else return at
    }
    return -1
  }

  /**
   * Where a string goes on: behind white space with a line break in it, with comments of lines between. Below 0 where it does
   * not. What is read in vain is read once more as space and comments, and not again: a string stands before it.
   */
  #continuation(from: number): number {
    let at = from
    let hasBreak = false
    for (;;) {
      const code = this.text.charCodeAt(at)
      if (code === QUOTE) return hasBreak ? at : -1
      if (code === NEWLINE || code === RETURN) hasBreak = true
      else if (code === MINUS && this.text.charCodeAt(at + 1) === MINUS) at = this.#lineEnd(at) - 1
      else if ((classOf(code) & SPACE) === 0) return -1
      at += 1
    }
  }

  #quotedWord(from: number): void {
    let at = from + 1
    for (;;) {
      const close = this.text.indexOf('"', at)
      if (close < 0) return this.#endless()
      if (this.text.charCodeAt(close + 1) !== DOUBLE_QUOTE) {
        // A name of nothing is refused.
        return this.#take(close === from + 1 ? 'broken' : 'quoted-word', close + 1)
      }
      at = close + 2
    }
  }

  /** `$1`, or `$tag$ … $tag$`. */
  #dollar(from: number): void {
    if ((this.#classAt(from + 1) & DIGIT) !== 0) {
      const at = this.#whileClass(from + 1, DIGIT)
      if ((this.#classAt(at) & LETTER) === 0) return this.#take('parameter', at)
      return this.#take('broken', this.#wordEnd(at))
    }
    const tagEnd = this.#whileClass(from + 1, LETTER | DIGIT)
    if (this.text.charCodeAt(tagEnd) !== DOLLAR) return this.#take('broken', from + 1)
    const tag = this.text.slice(from, tagEnd + 1)
    const close = this.text.indexOf(tag, tagEnd + 1)
    if (close < 0) return this.#endless()
    this.#take('string', close + tag.length)
  }

  /** `::`, `:=` and `..` are one mark. */
  #markLength(from: number, code: number): number {
    const following = this.text.charCodeAt(from + 1)
    if (code === DOT) return following === DOT ? 2 : 1
    if (code !== COLON) return 1
    return following === COLON || following === EQUALS ? 2 : 1
  }

  #operatorOrComment(from: number, code: number): void {
    const following = this.text.charCodeAt(from + 1)
    if (code === MINUS && following === MINUS) return this.#take('comment', this.#lineEnd(from))
    if (code === SLASH && following === STAR) return this.#blockComment(from)
    // What a run of signs loses at its end is signs, each an operator of its own, and is not read again.
    if (from < this.#runEnd) return this.#take('operator', from + 1)
    let at = from
    let isFree = false
    let lastOther = from + 1
    for (; ; at += 1) {
      const sign = this.text.charCodeAt(at)
      const sort = classOf(sign)
      if ((sort & OPERATOR) === 0) break
      const next = this.text.charCodeAt(at + 1)
      if (at > from && ((sign === MINUS && next === MINUS) || (sign === SLASH && next === STAR))) break
      if ((sort & FREE_OPERATOR) !== 0) isFree = true
      if (sign !== PLUS && sign !== MINUS) lastOther = at + 1
    }
    this.#runEnd = at
    // `=-1` is `=` and a negative number, `@-` is an operator.
    this.#take('operator', isFree ? at : lastOther)
  }

  #lineEnd(from: number): number {
    let at = from
    while (at < this.text.length) {
      const code = this.text.charCodeAt(at)
      if (code === NEWLINE || code === RETURN) break
      at += 1
    }
    return at
  }

  #blockComment(from: number): void {
    let depth = 1
    let at = from + 2
    while (at < this.text.length) {
      const code = this.text.charCodeAt(at)
      const next = this.text.charCodeAt(at + 1)
      if (code === STAR && next === SLASH) {
        depth -= 1
        at += 2
        if (depth === 0) return this.#take('comment', at)
      } else if (code === SLASH && next === STAR) {
        depth += 1
        at += 2
      } else at += 1
    }
    this.#endless()
  }
}

/** The value of a digit up to `f`; of anything else more than any base has. */
function digitOf(code: number): number {
  if (code >= ZERO && code <= 57) return code - ZERO
  const small = code | 32
  return small >= 97 && small <= 102 ? small - 87 : 99
}
