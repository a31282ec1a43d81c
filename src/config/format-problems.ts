import { MASKED_LENGTH_MAX, maskSecrets } from './mask-secrets.ts'
import { type Problem, showPlace } from './problem.ts'
import { safeLine } from './safe-line.ts'

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
  const safe = safeLine(all, problem.line - 1)
  if (safe.trim() === '') return []
  const start = Math.max(0, problem.column - 1 - (EXCERPT_WIDTH - 20))
  const cut = safe.replaceAll('\t', ' ').slice(start, start + EXCERPT_WIDTH)
  const gutter = String(problem.line).padStart(INDENT.length + 1)
  const caret = Math.min(problem.column - 1 - start, cut.length)
  return [
    `${gutter} | ${cut}${safe.length > start + EXCERPT_WIDTH ? '…' : ''}`,
    `${' '.repeat(gutter.length)} | ${' '.repeat(caret)}^`,
  ]
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
