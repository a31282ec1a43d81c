import type { Tree } from './tree.ts'
import {
  CONSISTENCY_SETTING,
  ROUTE_SETTING,
  type SessionEffect,
  type TransactionModes,
} from './session-effect.ts'
import { constantText, fieldsOf, listAt, textAt } from './tree.ts'

/** Of BEGIN, COMMIT and their kin. */
export function transactionEffect(fields: Tree): SessionEffect | undefined {
  const chain = fields['chain'] === true
  const name = textAt(fields, 'savepoint_name') ?? ''
  switch (textAt(fields, 'kind') ?? '') {
    case 'TRANS_STMT_BEGIN':
    case 'TRANS_STMT_START':
      return { kind: 'begin', modes: transactionModes(listAt(fields, 'options')) }
    case 'TRANS_STMT_COMMIT':
      return { kind: 'end', how: 'commit', chain }
    case 'TRANS_STMT_ROLLBACK':
      return { kind: 'end', how: 'rollback', chain }
    case 'TRANS_STMT_PREPARE':
      return { kind: 'end', how: 'prepare', chain: false }
    case 'TRANS_STMT_SAVEPOINT':
      return { kind: 'savepoint', how: 'set', name }
    case 'TRANS_STMT_RELEASE':
      return { kind: 'savepoint', how: 'release', name }
    case 'TRANS_STMT_ROLLBACK_TO':
      return { kind: 'savepoint', how: 'rollback', name }
    default:
      return undefined
  }
}

/** Of SET and RESET. */
export function settingEffect(fields: Tree): SessionEffect {
  const name = (textAt(fields, 'name') ?? '').toLowerCase()
  const args = listAt(fields, 'args')
  const kind = textAt(fields, 'kind')
  if (kind === 'VAR_RESET_ALL') return { kind: 'reset-all' }
  if (kind === 'VAR_SET_MULTI') {
    if (name === 'session characteristics') return { kind: 'session-modes', modes: transactionModes(args) }
    const snapshot = name === 'transaction snapshot'
    return { kind: 'transaction-modes', modes: snapshot ? {} : transactionModes(args), snapshot }
  }
  const value = kind === 'VAR_SET_VALUE' ? valueText(args) : undefined
  const modes = modesSetting(name, value)
  if (modes !== undefined) return { kind: 'transaction-modes', modes, snapshot: false }
  if (name === ROUTE_SETTING && fields['is_local'] !== true)
    return { kind: 'route', to: routeOf(kind, value) }
  if (name === CONSISTENCY_SETTING && fields['is_local'] !== true) return consistencyEffect(kind, value)
  return { kind: 'set', name, ...(value === undefined ? {} : { value }), local: fields['is_local'] === true }
}

/** A list of values is joined as PostgreSQL shows it; undefined where one is no constant. */
function valueText(args: readonly unknown[]): string | undefined {
  const texts = args.map((arg) => constantText(arg))
  return texts.every((text) => text !== undefined) && texts.length > 0 ? texts.join(', ') : undefined
}

/** `transaction_read_only` and its kin end with the transaction, however they are set. */
function modesSetting(name: string, value: string | undefined): TransactionModes | undefined {
  switch (name) {
    case 'transaction_read_only':
      return isOn(value) === undefined ? {} : { readOnly: isOn(value) === true }
    case 'transaction_isolation':
      return value === undefined ? {} : { isolation: value.toLowerCase() }
    case 'transaction_deferrable':
      return isOn(value) === undefined ? {} : { deferrable: isOn(value) === true }
    default:
      return undefined
  }
}

/** A boolean as PostgreSQL reads it, shortened words too. */
function isOn(value: string | undefined): boolean | undefined {
  const word = value?.toLowerCase() ?? ''
  if (word === '') return undefined
  if (word === 'on' || word === '1' || 'true'.startsWith(word) || 'yes'.startsWith(word)) return true
  if (word === 'of' || word === 'off' || word === '0' || 'false'.startsWith(word) || 'no'.startsWith(word))
    return false
  return undefined
}

function consistencyEffect(kind: string | undefined, value: string | undefined): SessionEffect {
  if (kind !== 'VAR_SET_VALUE') return { kind: 'consistency', to: 'default' }
  const word = value?.toLowerCase()
  const isLevel = word === 'session' || word === 'eventual' || word === 'default'
  return { kind: 'consistency', ...(isLevel ? { to: word } : {}) }
}

function routeOf(
  kind: string | undefined,
  value: string | undefined,
): 'primary' | 'replica' | 'auto' | undefined {
  if (kind !== 'VAR_SET_VALUE') return 'auto'
  const word = value?.toLowerCase()
  return word === 'primary' || word === 'replica' || word === 'auto' ? word : undefined
}

function transactionModes(options: readonly unknown[]): TransactionModes {
  let modes: TransactionModes = {}
  for (const option of options) {
    const { defname, arg } = fieldsOf(option, 'DefElem')
    const value = constantText(arg)
    if (defname === 'transaction_read_only') modes = { ...modes, readOnly: value === '1' }
    if (defname === 'transaction_isolation' && value !== undefined) modes = { ...modes, isolation: value }
    if (defname === 'transaction_deferrable') modes = { ...modes, deferrable: value === '1' }
  }
  return modes
}
