import { expect, it } from 'vitest'
import { bytes, digits, duration, listed, plural, serverVersion } from './format.ts'

it('bytes are in the units of PostgreSQL', () => {
  expect([0, 512, 999, 16_384, 1_500_000, 5 * 1024 ** 3].map(bytes)).toEqual([
    '0 B',
    '512 B',
    '999 B',
    '16 kB',
    '1.4 MB',
    '5 GB',
  ])
})

it('durations are as exact as they need to be', () => {
  expect([188, 2400, 59_000, 61_000, 3_700_000, 200_000_000].map(duration)).toEqual([
    '188 ms',
    '2.4 s',
    '59 s',
    '1 min',
    '1 h 2 min',
    '2 d',
  ])
})

it('numbers have three digits at most, and groups', () => {
  expect([0, 0.034, 7.25, 12.34, 123.4, 1234567].map(digits)).toEqual([
    '0',
    '0.034',
    '7.3',
    '12.3',
    '123',
    '1\u202f234\u202f567',
  ])
})

it('words fit their numbers', () => {
  expect([plural(1, 'voter'), plural(2, 'voter')]).toEqual(['1 voter', '2 voters'])
  expect([listed([]), listed(['a']), listed(['a', 'b']), listed(['a', 'b', 'c'])]).toEqual([
    '',
    'a',
    'a and b',
    'a, b and c',
  ])
  expect(serverVersion(180004)).toBe('18.4')
})
