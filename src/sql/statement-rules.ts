import { type Findings } from './analysis.ts'
import type { Tree } from './tree.ts'
import { isKeptTemporary, walkQuery } from './query-walk.ts'
import type { PinCause, SessionEffect } from './session-effect.ts'
import { settingEffect, transactionEffect } from './session-statements.ts'
import { constantText, isTree, relationName, textAt, treeAt, unwrap } from './tree.ts'

type Rule = (fields: Tree, findings: Findings) => void

/** `CURSOR_OPT_HOLD` of PostgreSQL's parsenodes.h. */
const CURSOR_HOLD = 0x0020

const query =
  (tag: string): Rule =>
  (fields, findings) => {
    findings.found('read', 'READS_ONLY')
    walkQuery(tag, fields, findings)
  }

const session =
  (effect: SessionEffect, about: string): Rule =>
  (_fields, findings) => {
    findings.found('unknown', 'CHANGES_SESSION', about)
    findings.effect(effect)
  }

const pin = (cause: PinCause): SessionEffect => ({ kind: 'pin', cause })

/** What is not here runs on the primary: commands that change the schema, the data, or the server. */
const RULES: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ...['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'].map(
    (tag) => [tag, query(tag)] as const,
  ),
  ['ExplainStmt', explain],
  ['CopyStmt', copy],
  ['DeclareCursorStmt', declareCursor],
  ['FetchStmt', (_fields, findings) => findings.found('unknown', 'NEEDS_ITS_SESSION', 'FETCH')],
  ['ExecuteStmt', (_fields, findings) => findings.found('unknown', 'NEEDS_ITS_SESSION', 'EXECUTE')],
  ['ClosePortalStmt', closeCursor],
  ['PrepareStmt', session(pin('prepared-statement'), 'PREPARE')],
  ['DeallocateStmt', deallocate],
  ['ListenStmt', session(pin('listen'), 'LISTEN')],
  ['UnlistenStmt', unlisten],
  ['NotifyStmt', (_fields, findings) => findings.found('write', 'NOTIFIES', 'NOTIFY')],
  ['LoadStmt', session(pin('loaded-library'), 'LOAD')],
  ['DiscardStmt', discard],
  ['DoStmt', (_fields, findings) => findings.found('write', 'RUNS_CODE', 'DO')],
  ['CallStmt', call],
  ['TransactionStmt', transaction],
  ['VariableSetStmt', setting],
  [
    'VariableShowStmt',
    (fields, findings) => findings.found('unknown', 'ASKS_THE_NODE', textAt(fields, 'name')),
  ],
  [
    'ConstraintsSetStmt',
    (_fields, findings) => findings.found('unknown', 'CONTROLS_TRANSACTION', 'SET CONSTRAINTS'),
  ],
])

/** Commands that make or change nothing in the schema. */
const COMMANDS = new Set([
  'AlterSystemStmt',
  'CheckPointStmt',
  'ClusterStmt',
  'LockStmt',
  'ReindexStmt',
  'RefreshMatViewStmt',
  'TruncateStmt',
  'VacuumStmt',
])

export function applyRule(tag: string, fields: Tree, findings: Findings): void {
  const rule = RULES.get(tag)
  if (rule !== undefined) return rule(fields, findings)
  findings.found('write', COMMANDS.has(tag) ? 'RUNS_COMMAND' : 'CHANGES_SCHEMA', commandName(tag))
  if (makesTemporary(fields)) findings.effect(pin('temporary-object'))
}

/** Plans are the primary's where the statement is; ANALYZE runs it. Only a read is explained elsewhere. */
function explain(fields: Tree, findings: Findings): void {
  const { tag, fields: inner } = unwrap(fields['query'])
  applyRule(tag, inner, findings)
}

function copy(fields: Tree, findings: Findings): void {
  if (fields['is_from'] === true) return findings.found('write', 'COPIES_IN')
  if (fields['is_program'] === true || 'filename' in fields)
    return findings.found('write', 'TOUCHES_FILES', 'COPY')
  const { tag, fields: inner } = unwrap(fields['query'])
  if (tag !== '') return applyRule(tag, inner, findings)
  findings.found('read', 'READS_ONLY')
  walkQuery('RangeVar', treeAt(fields, 'relation'), findings)
}

function declareCursor(fields: Tree, findings: Findings): void {
  const { tag, fields: inner } = unwrap(fields['query'])
  applyRule(tag, inner, findings)
  if ((Number(fields['options'] ?? 0) & CURSOR_HOLD) === 0) return
  findings.found('unknown', 'CHANGES_SESSION', 'WITH HOLD')
  findings.effect(pin('cursor-with-hold'))
}

function closeCursor(fields: Tree, findings: Findings): void {
  findings.found('unknown', 'NEEDS_ITS_SESSION', 'CLOSE')
  if (!('portalname' in fields)) findings.effect({ kind: 'unpin', cause: 'cursor-with-hold' })
}

function deallocate(fields: Tree, findings: Findings): void {
  findings.found('unknown', 'NEEDS_ITS_SESSION', 'DEALLOCATE')
  if (fields['isall'] === true) findings.effect({ kind: 'unpin', cause: 'prepared-statement' })
}

function unlisten(fields: Tree, findings: Findings): void {
  findings.found('unknown', 'CHANGES_SESSION', 'UNLISTEN')
  if (!('conditionname' in fields)) findings.effect({ kind: 'unpin', cause: 'listen' })
}

function discard(fields: Tree, findings: Findings): void {
  findings.found('unknown', 'CHANGES_SESSION', 'DISCARD')
  const target = textAt(fields, 'target')
  if (target === 'DISCARD_ALL') findings.effect({ kind: 'unpin', cause: 'all' })
  if (target === 'DISCARD_TEMP') findings.effect({ kind: 'unpin', cause: 'temporary-object' })
  if (target === 'DISCARD_SEQUENCES') findings.effect({ kind: 'unpin', cause: 'sequence-value' })
}

/** Its arguments are expressions, and may pin. */
function call(fields: Tree, findings: Findings): void {
  findings.found('write', 'RUNS_CODE', 'CALL')
  walkQuery('FuncCall', treeAt(fields, 'funccall'), findings)
}

function transaction(fields: Tree, findings: Findings): void {
  const kind = textAt(fields, 'kind') ?? ''
  if (kind === 'TRANS_STMT_COMMIT_PREPARED' || kind === 'TRANS_STMT_ROLLBACK_PREPARED') {
    return findings.found('write', 'CHANGES_DATA', 'PREPARED TRANSACTION')
  }
  findings.found('unknown', 'CONTROLS_TRANSACTION', kind.replace('TRANS_STMT_', '').replace('_', ' '))
  const effect = transactionEffect(fields)
  if (effect !== undefined) findings.effect(effect)
}

function setting(fields: Tree, findings: Findings): void {
  const effect = settingEffect(fields)
  const isModes = effect.kind === 'transaction-modes'
  findings.found(
    'unknown',
    isModes ? 'CONTROLS_TRANSACTION' : 'CHANGES_SESSION',
    textAt(fields, 'name') ?? 'ALL',
  )
  findings.effect(effect)
}

/** CREATE TEMPORARY of anything, and whatever is made in pg_temp by name. */
function makesTemporary(fields: Tree): boolean {
  for (const made of ['relation', 'view', 'sequence']) {
    if (isKeptTemporary(treeAt(fields, made), textAt(fields, 'oncommit'))) return true
  }
  const into = treeAt(fields, 'into')
  if (isKeptTemporary(treeAt(into, 'rel'), textAt(into, 'onCommit'))) return true
  return ['funcname', 'defnames', 'typeName', 'typevar'].some((field) => isInTemporarySchema(fields[field]))
}

function isInTemporarySchema(name: unknown): boolean {
  if (Array.isArray(name)) return name.length > 1 && constantText(name[0]) === 'pg_temp'
  return isTree(name) && relationName(name).schema === 'pg_temp'
}

/** `CREATE FUNCTION` of `CreateFunctionStmt`. */
function commandName(tag: string): string {
  return tag
    .replace(/Stmt$/, '')
    .replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ')
    .toUpperCase()
}
