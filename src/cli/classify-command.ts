import { nameText } from '../sql/analysis.ts'
import type { Catalog } from '../sql/catalog.ts'
import { Classifier, type Answer } from '../sql/classifier.ts'
import { loadGrammar } from '../sql/grammar.ts'
import type { SessionEffect, TransactionModes } from '../sql/session-effect.ts'
import { SessionRoute } from '../sql/session-route.ts'
import { splitStatements } from '../sql/split-statements.ts'
import type { Verdict } from '../sql/verdict.ts'
import { visibleText } from '../std/visible-text.ts'
import { CommandFailure, EXIT } from './command-failure.ts'
import type { Report } from './report.ts'

export type ClassifyRequest = {
  readonly text: string
  readonly standardStrings: boolean
}

/** What is said of one statement, or of all of a simple query. */
type Said = {
  /** Where a pooled session would run it. */
  readonly goesTo: string
  readonly sql: string
  readonly answer: Answer
  readonly assumes: { readonly functions: readonly string[]; readonly relations: readonly string[] }
}

/** What the router would say of SQL, as far as the text tells: what a catalog would have to add is named. */
export async function classifyReport({ text, standardStrings }: ClassifyRequest): Promise<Report> {
  if (text.includes('\0')) {
    throw new CommandFailure(EXIT.wrongUsage, 'Cannot read the SQL: it has a byte of zero in it')
  }
  const classifier = new Classifier(await loadGrammar(), { read: new Set(), write: new Set() })
  const say = (sql: string, session: SessionRoute): Said => {
    const { catalog, functions, relations } = assumedCatalog()
    // Each text is asked for once, and no flood comes from one command.
    const answer = classifier.classify({ text: sql, standardStrings, catalog, nowMs: 0 })
    const isRead = answer.verdict.kind === 'read'
    return {
      sql,
      answer,
      goesTo: whereText(session, answer.verdict),
      assumes: isRead
        ? { functions: [...functions], relations: [...relations] }
        : { functions: [], relations: [] },
    }
  }
  const whole = say(text, new SessionRoute())
  const session = new SessionRoute()
  const ranges = splitStatements(text, { standardStrings })
  const parts =
    ranges.length > 1
      ? ranges.slice(0, PARTS_MAX).map(({ start, end }) => say(text.slice(start, end), session))
      : []
  return {
    data: { ...plain(whole), statements: parts.map((part) => ({ sql: part.sql, ...plain(part) })) },
    table: {
      columns: ['Verdict', 'Goes to', 'Reason', 'About', 'Session', 'Statement'].map((title) => ({ title })),
      rows: [
        ...parts.map((part) => cells(part, part.sql)),
        cells(whole, parts.length > 0 ? 'all together' : text.trim()),
      ],
    },
    footer: footerOf(whole),
    rows: [
      ['kind', 'goes_to', 'reason', 'about', 'session', 'statement'],
      ...[...parts, whole].map((said) => cells(said, said.sql)),
    ],
  }
}

/** Where the next message of a session goes, if all before it succeeded. */
function whereText(session: SessionRoute, verdict: Verdict): string {
  const decision = session.route([verdict])
  if (decision.kind === 'refuse') return 'nowhere'
  if (decision.kind === 'answer') return 'router'
  let isOpen = decision.begins || session.isInTransaction
  for (const effect of verdict.effects) {
    if (effect.kind === 'begin') isOpen = true
    if (effect.kind === 'end') isOpen = effect.chain
  }
  session.ended(isOpen ? 'T' : 'I', false)
  return decision.to
}

/** Statements that are shown one by one. */
const PARTS_MAX = 100

/** A catalog in which nothing surprises, and which remembers what it was asked for. */
function assumedCatalog() {
  const functions = new Set<string>()
  const relations = new Set<string>()
  const catalog: Catalog = {
    volatilityOf: (name) => {
      functions.add(nameText(name))
      return 'stable'
    },
    relationOf: (name) => {
      relations.add(nameText(name))
      return { kind: 'plain' }
    },
    isVolatileField: () => false,
    unusual: undefined,
  }
  return { catalog, functions, relations }
}

function plain({ answer, goesTo, assumes }: Said) {
  const { verdict, fingerprint, hint } = answer
  return { ...verdict, goesTo, hint, fingerprint, assumes }
}

function cells({ goesTo, answer: { verdict } }: Said, text: string): readonly string[] {
  const session = verdict.effects.map(effectText).join(', ')
  return [
    verdict.kind,
    goesTo,
    verdict.reason,
    verdict.about ?? '',
    session,
    visibleText(text.replaceAll(/\s+/g, ' '), 1000),
  ]
}

function footerOf({ answer, assumes }: Said): readonly string[] {
  const lines = [`fingerprint: ${answer.fingerprint ?? 'none'}`]
  if (assumes.functions.length > 0)
    lines.push(`if these functions are not volatile: ${assumes.functions.join(', ')}`)
  if (assumes.relations.length > 0) {
    lines.push(`if a standby can read these, and they run nothing volatile: ${assumes.relations.join(', ')}`)
  }
  return lines
}

function effectText(effect: SessionEffect): string {
  switch (effect.kind) {
    case 'pin':
      return `pins it: ${effect.cause}`
    case 'unpin':
      return `frees it: ${effect.cause}`
    case 'begin':
      return ['begins', modesText(effect.modes)].filter((part) => part !== '').join(' ')
    case 'end':
      return effect.chain ? `${effect.how} and chain` : effect.how
    case 'savepoint':
      return `savepoint ${effect.how}`
    case 'transaction-modes':
      return effect.snapshot ? 'takes a snapshot' : `transaction ${modesText(effect.modes)}`
    case 'session-modes':
      return `session ${modesText(effect.modes)}`
    case 'set':
      return `sets ${effect.name}${effect.local ? ' locally' : ''}`
    case 'reset-all':
      return 'resets all'
    case 'consistency':
      return `wants to find ${effect.to ?? 'what nobody knows'}`
    case 'route':
      return `routes to ${effect.to ?? 'nobody knows where'}`
  }
}

function modesText({ readOnly, isolation, deferrable }: TransactionModes): string {
  return [
    isolation ?? '',
    readOnly === undefined ? '' : readOnly ? 'read only' : 'read write',
    deferrable === undefined ? '' : deferrable ? 'deferrable' : 'not deferrable',
  ]
    .filter((part) => part !== '')
    .join(', ')
}
