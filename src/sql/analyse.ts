import { Findings, type Analysis } from './analysis.ts'
import type { Grammar } from './tree.ts'
import { applyRule } from './statement-rules.ts'

/** What a text says, by PostgreSQL's grammar alone: of several statements the strictest counts, and all effects. */
export function analyse(text: string, grammar: Grammar): Analysis {
  const findings = new Findings()
  if (isEmpty(text)) return findings.analysis(0)
  const parsed = grammar(text)
  if (parsed.kind === 'refused') {
    findings.found('unknown', 'SYNTAX', parsed.message)
    return findings.analysis(0)
  }
  for (const { tag, fields } of parsed.statements) applyRule(tag, fields, findings)
  return findings.analysis(parsed.statements.length)
}

/** An empty query is answered and does nothing; the grammar has no word for it. */
function isEmpty(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] !== ';' && text[at] !== ' ') return false
  }
  return true
}
