import { describe, expect, it } from 'vitest'
import { message } from '../../wire/frame.ts'
import { localAnswer } from './local-answer.ts'

const text = (value: string): Buffer => Buffer.from(`${value}\0`)
const parse = (name: string, types: Buffer = Buffer.alloc(2)): Buffer =>
  message('P', Buffer.concat([text(name), text('begin'), types]))
/** To this portal, of this statement; behind the names: formats, parameters, formats of results. */
const bind = (portal: string, name: string, rest: Buffer = Buffer.alloc(6)): Buffer =>
  message('B', Buffer.concat([text(portal), text(name), rest]))
const EXECUTE = message('E', Buffer.alloc(5))
const SYNC = message('S', Buffer.alloc(0))

function types(...messages: readonly Buffer[]): string | undefined {
  const chunk = Buffer.concat([Buffer.from('x'), ...messages])
  const statements = { get: (name: string) => (name === 'known' ? statement : undefined), isFull: false }
  const statement = { name: 'known', definition: Buffer.from('begin\0\0\0') }
  const answer = localAnswer(chunk, { from: 1, end: chunk.length }, statements)?.build('BEGIN', 'T')
  let shown = ''
  for (let at = 0; answer && at < answer.length; at += 1 + answer.readInt32BE(at + 1)) {
    shown += String.fromCharCode(answer[at] ?? 0)
  }
  return answer && shown
}

describe('the router answers by itself', () => {
  it('a Query, and a batch that runs one statement without parameters', () => {
    expect(types(message('Q', text('begin')))).toBe('CZ')
    expect(types(parse(''), bind('', ''), message('D', text('P')), EXECUTE, SYNC)).toBe('12nCZ')
    expect(types(parse('new'), message('D', text('Snew')), bind('', 'new'), EXECUTE, SYNC)).toBe('1tn2CZ')
    expect(types(bind('', 'known'), EXECUTE, message('H', Buffer.alloc(0)), SYNC)).toBe('2CZ')
    expect(types(bind('', 'known', Buffer.from([0, 1, 0, 1, 0, 0, 0, 0])), EXECUTE, SYNC)).toBe('2CZ')
  })

  it.each([
    ['a name that is taken', [parse('known'), bind('', 'known'), EXECUTE, SYNC]],
    ['types of parameters', [parse('', Buffer.from([0, 1, 0, 0, 0, 23])), bind('', ''), EXECUTE, SYNC]],
    ['a parameter', [parse(''), bind('', '', Buffer.from([0, 0, 0, 1, 255, 255, 255, 255])), EXECUTE, SYNC]],
    ['a portal with a name', [parse(''), bind('p', ''), EXECUTE, SYNC]],
    ['a statement that is run twice', [parse(''), bind('', ''), EXECUTE, EXECUTE, SYNC]],
    ['a portal that is bound twice', [parse(''), bind('', ''), bind('', ''), EXECUTE, SYNC]],
    ['another statement that is bound', [parse('new'), bind('', ''), EXECUTE, SYNC]],
    ['a portal that is described before it is bound', [parse(''), message('D', text('P')), EXECUTE, SYNC]],
    ['what is prepared alone', [parse(''), SYNC]],
    ['something to be closed', [parse(''), bind('', ''), EXECUTE, message('C', text('Snew')), SYNC]],
    ['a Bind that is cut short', [parse(''), message('B', Buffer.from('\0\0\0')), EXECUTE, SYNC]],
  ])('but not %s: PostgreSQL knows better', (_, messages) => {
    expect(types(...messages)).toBeUndefined()
  })
})
