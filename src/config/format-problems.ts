import { MASK, MASKED_LENGTH_MAX, maskSecrets, SECRET_WORD } from './mask-secrets.ts'
import { type Problem, showPlace } from './problem.ts'

const WIDTH = 100
const INDENT = '    '
/** A line of the file is shown up to this; the rest becomes "…". */
const EXCERPT_WIDTH = 92

/**
 * All problems for a terminal, in the order of the files: place, the line with a caret, rule, remedy.
 * Plain text without colour. `sources` are the texts of the files; secrets in the shown lines are masked.
 */
export function formatProblems(problems: readonly Problem[], sources: ReadonlyMap<string, string>): string {
  const blocks = problems.map((problem) => block(problem, sources.get(problem.file)))
  return [...blocks, summary(problems)].join('\n')
}

function block(problem: Problem, source: string | undefined): string {
  const about = [problem.key, quotedValue(problem)].filter((part) => part !== '').join(' ')
  const lines = [`${showPlace(problem)}: ${problem.severity}${about === '' ? '' : `: ${about}`}`]
  lines.push(...excerpt(problem, source))
  lines.push(...wrapped(`${problem.rule}.`, INDENT))
  lines.push(...wrapped(`${problem.remedy}.`.replace(/([?.])\.$/, '$1'), INDENT, '→ '))
  if (problem.replacement !== undefined) lines.push('', problem.replacement.trimEnd())
  return `${lines.join('\n')}\n`
}

function quotedValue(problem: Problem): string {
  if (problem.value === undefined) return ''
  const shown = maskSecrets(problem.value)
  return `= ${shown.length > 60 ? `${shown.slice(0, 59)}…` : shown}`
}

function excerpt(problem: Problem, source: string | undefined): readonly string[] {
  if (source === undefined || problem.line === 0) return []
  const all = source.split(/\r?\n/)
  const written = all[problem.line - 1]
  if (written === undefined || written.trim() === '' || written.length > MASKED_LENGTH_MAX) return []
  const safe = safeLine(all, problem)
  const start = Math.max(0, problem.column - 1 - (EXCERPT_WIDTH - 20))
  const cut = safe.replaceAll('\t', ' ').slice(start, start + EXCERPT_WIDTH)
  const gutter = String(problem.line).padStart(INDENT.length + 1)
  const caret = Math.min(problem.column - 1 - start, cut.length)
  return [
    `${gutter} | ${cut}${safe.length > start + EXCERPT_WIDTH ? '…' : ''}`,
    `${' '.repeat(gutter.length)} | ${' '.repeat(caret)}^`,
  ]
}

/** The line without anything that may be a secret. */
function safeLine(lines: readonly string[], problem: Problem): string {
  const written = lines[problem.line - 1] ?? ''
  if (continuesSecret(lines, problem.line - 1)) return `${/^\s*/.exec(written)?.[0] ?? ''}${MASK}`
  return maskSecrets(problem.concealed ? withoutValue(written, problem.column) : written)
}

/** The line up to the colon behind `column`: the key without its value. */
function withoutValue(line: string, column: number): string {
  const colon = line.indexOf(':', column - 1)
  if (colon === -1) return `${line.slice(0, column - 1)}${MASK}`
  const value = line.slice(colon + 1).trim()
  return value === '' || value.startsWith('#')
    ? line.slice(0, colon + 1)
    : `${line.slice(0, colon + 1)} ${MASK}`
}

/** The line belongs to a secret that started on a line before: a block text, or a quote that was not closed. */
function continuesSecret(lines: readonly string[], index: number): boolean {
  for (let above = index - 1; above >= 0; above -= 1) {
    const line = (lines[above] ?? '').slice(0, MASKED_LENGTH_MAX)
    const key = /^(\s*(?:- +)*)["']?[\w.-]+["']?\s*:/.exec(line)
    if (key === null) continue
    const secret = new RegExp(String.raw`^\s*(?:- +)*["']?${SECRET_WORD}["']?\s*:`, 'i').test(line)
    if (!secret || /_file["']?\s*:/.test(line)) return false
    const here = /^\s*/.exec(lines[index] ?? '')?.[0].length ?? 0
    const openQuote = (line.match(/"/g)?.length ?? 0) % 2 === 1 || (line.match(/'/g)?.length ?? 0) % 2 === 1
    return openQuote || here > (key[1]?.length ?? 0)
  }
  return false
}

function wrapped(text: string, indent: string, first = ''): readonly string[] {
  const lines: string[] = []
  let line = indent + first
  for (const word of text.split(' ')) {
    const tooLong = line.length + word.length > WIDTH && line.trim() !== '' && line !== indent + first
    if (tooLong) {
      lines.push(line.trimEnd())
      line = indent + ' '.repeat(first.length)
    }
    line += `${word} `
  }
  return [...lines, line.trimEnd()]
}

function summary(problems: readonly Problem[]): string {
  const errors = problems.filter((problem) => problem.severity === 'error').length
  return counted(errors, problems.length - errors)
}

/** `2 errors, 1 warning`. */
export function counted(errors: number, warnings: number): string {
  const count = (number: number, word: string): string => `${number} ${word}${number === 1 ? '' : 's'}`
  return [errors > 0 ? count(errors, 'error') : '', warnings > 0 ? count(warnings, 'warning') : '']
    .filter((part) => part !== '')
    .join(', ')
}
