import { expect, it } from 'vitest'
import { parse } from 'yaml'
import { yamlText } from './yaml-text.ts'

it('writes YAML that reads back as the same data', () => {
  const data = {
    name: 'n1',
    empty: {},
    none: [],
    nothing: null,
    'a key: with # signs': 'yes',
    nested: { list: [1, 'two', { three: [3, [4, { five: '5' }]] }, []], bool: true },
    traps: [
      'no',
      'null',
      '1.0',
      '-',
      '- a',
      '#c',
      ' a ',
      'a: b',
      '',
      "it's",
      '"q"',
      'line\nbreak',
      '~',
      '0x1F',
      '1e3',
    ],
    date: '2026-05-04T03:02:01.000Z',
  }
  expect(parse(yamlText(data))).toEqual(data)
  expect(yamlText({ member: 'n1', notes: ['holds lease'] })).toBe('member: n1\nnotes:\n  - "holds lease"\n')
})

it('leaves out what is absent', () => {
  expect(yamlText({ a: undefined, b: 1 })).toBe('b: 1\n')
})
