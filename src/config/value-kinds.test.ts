import { describe, expect, it } from 'vitest'
import { duration, fraction, host, nodeName, port, size, wholeNumber, yesOrNo } from './value-kinds.ts'

/** The values that were read; `wrong` for those that were not. */
const reader =
  <T>(type: { read(text: string): { kind: 'value'; value: T } | { kind: 'wrong' } }) =>
  (texts: readonly string[]) =>
    texts.map((text) => {
      const reading = type.read(text)
      return reading.kind === 'value' ? reading.value : 'wrong'
    })

describe('a duration', () => {
  const type = duration({ min: 0, max: 3_600_000 })

  it('is read in every unit; a bare number counts seconds', () => {
    expect(reader(type)(['500ms', '10s', '1m', '1h', '1m30s', '1.5s', '10', '0', ' 2 s '])).toEqual([
      500, 10_000, 60_000, 3_600_000, 90_000, 1500, 10_000, 0, 2000,
    ])
  })

  it('is not read when there is doubt', () => {
    const texts = ['', 's', '10 sec', '-1s', '1e3', '1y', '2h', '10s5', '٣s', 'Infinity', '9'.repeat(40)]
    expect(reader(type)(texts)).toEqual(texts.map(() => 'wrong'))
  })

  it('is shown as it is read', () => {
    for (const ms of [0, 1, 500, 1000, 1500, 60_000, 90_000, 3_600_000]) {
      expect(type.read(type.show(ms))).toEqual({ kind: 'value', value: ms })
    }
  })
})

describe('a size', () => {
  it('has units of 1024 as in PostgreSQL; a bare number counts bytes', () => {
    expect(reader(size)(['16MB', '1GB', '64kB', '1048576', '8B', '1 MiB', '2g'])).toEqual([
      16_777_216, 1_073_741_824, 65_536, 1_048_576, 8, 1_048_576, 2_147_483_648,
    ])
    expect(reader(size)(['', '-1', '1.5MB', '1 parsec', '9'.repeat(20)])).toEqual(Array(5).fill('wrong'))
  })

  it('is shown as it is read', () => {
    for (const bytes of [0, 1, 1024, 1500, 1_048_576, 5_368_709_120]) {
      expect(size.read(size.show(bytes))).toEqual({ kind: 'value', value: bytes })
    }
  })
})

describe('the other values', () => {
  it('are read strictly', () => {
    expect(reader(port)(['1', '65535', '0', '65536', '5432.0', '0x10', ' 1'])).toEqual([
      1,
      65_535,
      'wrong',
      'wrong',
      'wrong',
      'wrong',
      'wrong',
    ])
    expect(reader(wholeNumber(1, 5))(['1', '5', '0', '6', '2.5', '1e0'])).toEqual([
      1,
      5,
      ...Array(4).fill('wrong'),
    ])
    expect(reader(fraction(0, 1))(['0', '.5', '0.8', '1', '1.1', '80%'])).toEqual([
      0,
      0.5,
      0.8,
      1,
      'wrong',
      'wrong',
    ])
    expect(reader(yesOrNo)(['true', 'YES', 'on', 'false', 'Off', 'maybe'])).toEqual([
      true,
      true,
      true,
      false,
      false,
      'wrong',
    ])
    expect(reader(nodeName)(['node1', 'pg-metako.node_1', '-x', 'a b', '', 'x'.repeat(64)])).toEqual([
      'node1',
      'pg-metako.node_1',
      ...Array(4).fill('wrong'),
    ])
  })

  it('know a host when they see one', () => {
    const hosts = ['db1', 'db1.example.net', '10.77.0.1', '::1', 'fe80::1%eth0', '[2001:db8::1]', '*']
    expect(reader(host)(hosts)).toEqual([...hosts.slice(0, 5), '2001:db8::1', '0.0.0.0'])
    const not = ['', 'a b', '10.77.0.256', '1.2.3', 'http://db1', 'db1:5432', '-db', 'x'.repeat(254)]
    expect(reader(host)(not)).toEqual(not.map(() => 'wrong'))
  })
})
