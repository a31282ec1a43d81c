import { expect, it } from 'vitest'
import { judgeParameter, type KnownParameter } from './judge-parameters.ts'

const known = (it: Partial<KnownParameter>): KnownParameter => ({
  name: 'x',
  vartype: 'integer',
  unit: null,
  min: '1',
  max: '262143',
  words: null,
  context: 'postmaster',
  ...it,
})
const sharedBuffers = known({ unit: '8kB', min: '16', max: '1073741823' })
const checkpointTimeout = known({ unit: 's', min: '30', max: '86400' })

it.each([
  [known({}), '200'],
  [sharedBuffers, '16384'],
  [sharedBuffers, '128MB'],
  [sharedBuffers, ' 2 GB '],
  [checkpointTimeout, '5min'],
  [checkpointTimeout, '0.5h'],
  [known({ vartype: 'real', min: '0', max: '1' }), '0.9'],
  [known({ vartype: 'bool' }), 'on'],
  [known({ vartype: 'bool' }), 'fal'],
  [known({ vartype: 'enum', words: ['minimal', 'replica', 'logical'] }), 'Logical'],
  [known({ vartype: 'string' }), 'anything at all'],
])('takes %o as %s', (parameter, value) => {
  expect(judgeParameter(parameter, { name: 'x', value })).toBeUndefined()
})

it.each([
  [known({}), '0', 'from 1 to 262143'],
  [known({}), 'many', 'a number, not "many"'],
  [known({}), '10MB', 'a number, not "10MB"'],
  [sharedBuffers, '64kB', 'from 16 to 1073741823 (in 8kB)'],
  [sharedBuffers, '128mb', 'one of the units B, kB, MB, GB, TB'],
  [checkpointTimeout, '5', 'from 30 to 86400'],
  [checkpointTimeout, '2d', 'from 30 to 86400'],
  [known({ vartype: 'bool' }), 'perhaps', 'on or off'],
  [known({ vartype: 'enum', words: ['minimal', 'replica'] }), 'full', 'one of minimal, replica'],
  [known({ context: 'internal' }), '1', 'property of the server'],
])('refuses %o as %s: %s', (parameter, value, why) => {
  expect(judgeParameter(parameter, { name: 'x', value })).toContain(why)
})

it('knows that PostgreSQL has no such parameter, and nothing of an extension that is not loaded', () => {
  expect(judgeParameter(undefined, { name: 'max_conections', value: '1' })).toContain('no parameter of this')
  expect(judgeParameter(undefined, { name: 'pg_stat_statements.max', value: '1' })).toBeUndefined()
})
