import { expect, it } from 'vitest'
import { visibleText } from './visible-text.ts'

it('leaves nothing that a terminal would obey', () => {
  expect(visibleText('n1\u001b[2J\r\nn2\u202e\u009b1m')).toBe('n1?[2J??n2??1m')
  expect(visibleText('노드-1 é')).toBe('노드-1 é')
})

it('cuts what is too long', () => {
  expect(visibleText('abcdef', 3)).toBe('abc…')
  expect(visibleText('abc', 3)).toBe('abc')
})
