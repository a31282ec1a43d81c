import type { ErrorDescription } from '../../src/model/error-code.ts'
import { withoutComments } from './source-text.ts'
import { isProduct, type SourceTree, type Violation } from './source-tree.ts'

export type FaultUse = { readonly file: string; readonly code: string }

/**
 * The codes that the product raises: every text in capitals that stands as the first argument of `new Fault(…)`, and in
 * `src/api`, where answers are refused without a fault, every `code: '…'`.
 */
function faultUses(tree: SourceTree): readonly (FaultUse | Violation)[] {
  return [...tree]
    .filter(([file]) => isProduct(file))
    .flatMap(([file, text]) => usesIn(file, withoutComments(text)))
}

function usesIn(file: string, code: string): readonly (FaultUse | Violation)[] {
  const placeOf = (index: number) => `${file}:${code.slice(0, index).split('\n').length}`
  const raised = [...code.matchAll(/\bnew Fault(?:<[^(]*>)?\(/g)].flatMap(
    (match): readonly (FaultUse | Violation)[] => {
      const codes = firstArgument(code, match.index + match[0].length).match(/'[A-Z][A-Z0-9_]+'/g)
      const place = placeOf(match.index)
      if (!codes) return [{ file: place, message: 'raises a Fault whose code is no literal' }]
      return codes.map((one) => ({ file: place, code: one.slice(1, -1) }))
    },
  )
  if (!file.startsWith('src/api/')) return raised
  const answered = [...code.matchAll(/\bcode: '([A-Z][A-Z0-9_]+)'/g)]
  return [...raised, ...answered.map((match) => ({ file: placeOf(match.index), code: match[1] ?? '' }))]
}

function firstArgument(code: string, from: number): string {
  let depth = 0
  for (let at = from; at < code.length; at += 1) {
    const here = code[at] ?? ''
    if ('([{'.includes(here)) depth += 1
    if (')]}'.includes(here)) depth -= 1
    if (depth < 0 || (depth === 0 && here === ',')) return code.slice(from, at)
  }
  return code.slice(from)
}

/** Codes that are raised and not described, described and not raised, or described in too few words to help. */
export function faultCodeViolations(
  tree: SourceTree,
  registry: Readonly<Record<string, ErrorDescription>>,
): readonly Violation[] {
  const uses = faultUses(tree)
  const raised = uses.flatMap((use) => ('code' in use ? [use] : []))
  const unnamed = uses.flatMap((use) => ('message' in use ? [use] : []))
  const undescribed = raised
    .filter(({ code }) => !(code in registry))
    .map(({ file, code }) => ({
      file,
      message: `raises ${code}, which src/model/error-code.ts does not describe`,
    }))
  const registryFile = 'src/model/error-code.ts'
  const unraised = Object.keys(registry)
    .filter((code) => !raised.some((use) => use.code === code))
    .map((code) => ({ file: registryFile, message: `describes ${code}, which nothing raises` }))
  const curt = Object.entries(registry)
    .filter(([, { meaning, remedy }]) => !isSentence(meaning) || !isSentence(remedy))
    .map(([code]) => ({
      file: registryFile,
      message: `${code}: meaning and remedy are sentences with a full stop`,
    }))
  return [...unnamed, ...undescribed, ...unraised, ...curt]
}

function isSentence(text: string): boolean {
  return /^[A-Z`"].{8,}\.$/s.test(text)
}

/** `docs/reference/errors.md`. */
export function errorReference(registry: Readonly<Record<string, ErrorDescription>>): string {
  const entries = Object.entries(registry).toSorted(([left], [right]) => (left < right ? -1 : 1))
  const sections = entries.map(
    ([code, { meaning, remedy }]) => `## ${code}\n\n${meaning}\n\n**What to do:** ${remedy}\n`,
  )
  return [
    '# Error codes',
    '',
    'Generated from `src/model/error-code.ts` by `npm run docs`; do not edit.',
    '',
    'Every fault that pg-metako reports carries one of these codes: in log lines (`code`), in REST problems and in the',
    'messages of the command line. Errors of PostgreSQL keep their SQLSTATE, those of the operating system their name.',
    '',
    ...sections,
  ].join('\n')
}
