import { SECOND } from '../../std/units.ts'
import type { Reading } from '../value-kinds.ts'

/** How PgBouncer writes a value. */
export type IniForm = 'word' | 'text' | 'number' | 'flag' | 'seconds'

const INTEGER = /^[+-]?(?:0[xX][0-9a-fA-F]+|\d+)$/
const SECONDS = /^\+?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)$/

/** A value of PgBouncer's as a file of ours would write it. */
export function readIniValue(form: IniForm, value: string): Reading<string> {
  switch (form) {
    case 'word':
      return { kind: 'value', value: value.toLowerCase() }
    case 'text':
      return { kind: 'value', value }
    case 'number': {
      const number = INTEGER.test(value) ? integerOf(value) : undefined
      return number === undefined
        ? {
            kind: 'wrong',
            rule: 'must be a whole number',
            remedy: 'write the number alone: a comment needs a line of its own',
          }
        : { kind: 'value', value: String(number) }
    }
    case 'flag': {
      const number = INTEGER.test(value) ? integerOf(value) : undefined
      return number === undefined
        ? { kind: 'wrong', rule: 'must be 0 or 1', remedy: 'write 0 or 1' }
        : { kind: 'value', value: number === 0 ? 'no' : 'yes' }
    }
    case 'seconds':
      return SECONDS.test(value)
        ? { kind: 'value', value: `${Math.round(Number(value) * SECOND)}ms` }
        : {
            kind: 'wrong',
            rule: 'must be a number of seconds',
            remedy: 'write the number without a unit, e.g. 15 or 0.5',
          }
  }
}

/** As C reads it: `0777` is octal, `0x1f` hexadecimal. */
function integerOf(text: string): number | undefined {
  const isNegative = text.startsWith('-')
  const digits = text.replace(/^[+-]/, '')
  const isOctal = /^0[0-9]/.test(digits)
  if (isOctal && /[89]/.test(digits)) return undefined
  const number = isOctal ? Number.parseInt(digits, 8) : Number(digits)
  return isNegative ? -number : number
}
