import { describe, expect, it } from 'vitest'
import { commandWords } from './command-words.ts'

describe('the words of a command', () => {
  it.each([
    ['/bin/a b  c ', ['/bin/a', 'b', 'c']],
    ['', []],
    ['a "b c" d', ['a', 'b c', 'd']],
    ["a 'b \"c' ''", ['a', 'b "c', '']],
    ['a\\ b "c\\"d" "e\\f" \'g\\h\'', ['a b', 'c"d', 'e\\f', 'g\\h']],
    ['a"b c"d', ['ab cd']],
  ])('of %j are %j', (text, words) => {
    expect(commandWords(text)).toEqual(words)
  })

  it.each(['a "b', "a 'b", 'a\\'])('are none where %j is not closed', (text) => {
    expect(commandWords(text)).toBeUndefined()
  })
})
