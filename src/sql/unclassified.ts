import { Lexer, type LexerOptions } from './lexer.ts'
import type { SessionEffect } from './session-effect.ts'

/** Any of these may keep something for the session. A word too many costs a pin, a word too few another session's state. */
const PINNING_WORDS = new Set([
  'currval',
  'dblink_connect',
  'dblink_connect_u',
  'hold',
  'lastval',
  'listen',
  'load',
  'pg_advisory_lock',
  'pg_advisory_lock_shared',
  'pg_temp',
  'pg_try_advisory_lock',
  'pg_try_advisory_lock_shared',
  'prepare',
  'reset',
  'set_config',
  'setseed',
  'temp',
  'temporary',
])

/** Words that only count where they begin a statement: elsewhere they are a part of many. */
const PINNING_COMMANDS = new Set(['set', 'discard'])

/** What a text may do to its session that the grammar has not seen. */
export function unclassifiedEffects(text: string, options: LexerOptions): readonly SessionEffect[] {
  const lexer = new Lexer(text, options)
  let isFirst = true
  while (lexer.next()) {
    if (lexer.kind === 'space' || lexer.kind === 'comment') continue
    if (lexer.kind === 'word' || lexer.kind === 'quoted-word') {
      const word = text.slice(lexer.start, lexer.end).replaceAll('"', '').toLowerCase()
      if (PINNING_WORDS.has(word) || (isFirst && PINNING_COMMANDS.has(word))) {
        return [{ kind: 'pin', cause: 'not-classified' }]
      }
    }
    isFirst = text.charCodeAt(lexer.start) === SEMICOLON
  }
  return []
}

const SEMICOLON = 59
