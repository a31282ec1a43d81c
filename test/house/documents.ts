import { existsSync } from 'node:fs'
import { importTable, roomOf } from './import-table.ts'
import { repositoryRoot, type SourceTree, type Violation } from './source-tree.ts'

/** The document with new text between `<!-- NAME:begin -->` and `<!-- NAME:end -->`; throws where a mark is missing. */
export function withSection(document: string, name: string, content: string): string {
  const begin = `<!-- ${name}:begin -->`
  const end = `<!-- ${name}:end -->`
  const from = document.indexOf(begin)
  const to = document.indexOf(end)
  if (from < 0 || to < from) throw new Error(`Cannot write the section "${name}": wanted ${begin} and ${end}`)
  return `${document.slice(0, from + begin.length)}\n\n${content}\n\n${document.slice(to)}`
}

/** The arrows between rooms as a Mermaid graph. */
export function mermaidGraph(arrows: ReadonlyMap<string, readonly string[]>): string {
  const lines = [...arrows].flatMap(([from, targets]) => targets.map((target) => `  ${from} --> ${target}`))
  return ['```mermaid', 'graph TD', ...lines, '```'].join('\n')
}

/** The import table as Markdown. */
export function importTableText(): string {
  const rows = importTable.map((rule) => {
    const allowed = [
      ...rule.rooms.map((name) => `\`${name}\``),
      ...(rule.touchesNode ? ['`node:*`'] : []),
      ...(rule.speaksToApi ? ['`#client`'] : []),
      ...rule.packages.map((name) => `*${name}*`),
    ]
    const name = rule.path.startsWith('src/') ? rule.path.slice('src/'.length) : rule.path
    return `| \`${name}\` | ${rule.purpose} | ${rule.pure ? 'yes' : ''} | ${allowed.join(' ') || '–'} |`
  })
  return ['| room | what it is for | pure | may import |', '|---|---|---|---|', ...rows].join('\n')
}

export type Row = readonly string[]

/** Cells of the first Markdown table after a heading, without its head. */
function tableAfter(document: string, heading: string): readonly Row[] {
  const from = document.indexOf(heading)
  if (from < 0) return []
  const rows: Row[] = []
  for (const line of document.slice(from + heading.length).split('\n')) {
    if (line.startsWith('|'))
      rows.push(
        line
          .split('|')
          .slice(1, -1)
          .map((cell) => cell.trim()),
      )
    else if (rows.length > 0 || line.startsWith('#')) break
  }
  return rows.slice(2)
}

const TEST_PATH = /`((?:src|test|client)\/[^`]+)`/g

/**
 * The README's first table: `| what | state | held by |`. What works names the tests that hold it, and they exist; what is
 * planned names none and claims nothing.
 */
export function stateTableViolations(readme: string, tests: SourceTree): readonly Violation[] {
  const rows = tableAfter(readme, '## What works')
  if (rows.length === 0) return [{ file: 'README.md', message: 'has no table under "## What works"' }]
  return rows.flatMap((row) => {
    const [what = '', state = '', heldBy = ''] = row
    const named = [...heldBy.matchAll(TEST_PATH)].map((match) => match[1] ?? '')
    return objectionsToRow(state, named, tests).map((message) => ({
      file: 'README.md',
      message: `"${what}" ${message}`,
    }))
  })
}

function objectionsToRow(state: string, named: readonly string[], tests: SourceTree): readonly string[] {
  if (state === 'planned') return named.length > 0 ? ['is planned and yet names a test'] : []
  if (state !== 'works' && state !== 'works partly') {
    return [`is "${state}": wanted works, works partly or planned`]
  }
  if (named.length === 0) return [`${state} and names no test that holds it`]
  return named.flatMap((path) => objectionToTest(path, tests) ?? [])
}

/** Why a named test holds nothing; `undefined` when it does. */
function objectionToTest(path: string, tests: SourceTree): string | undefined {
  const text = tests.get(path)
  if (text === undefined) return `names ${path}, which does not exist`
  return /\b(it|test|describeTranscripts)(\.\w+)*\(/.test(text)
    ? undefined
    : `names ${path}, which has no test in it`
}

/** `docs/guarantees.md`: one section for each G1–G9, each with its status, its checker and its tests, which exist. */
export function guaranteeViolations(document: string, tests: SourceTree): readonly Violation[] {
  const file = 'docs/guarantees.md'
  const sections = document.split(/^## /m).slice(1)
  const missing = Array.from({ length: 9 }, (_, index) => `G${index + 1}`)
    .filter((name) => !sections.some((section) => section.startsWith(`${name} `)))
    .map((name) => ({ file, message: `has no section ${name}` }))
  const flawed = sections.flatMap((section) => {
    const name = section.split(/\s/)[0] ?? ''
    const absent = ['Status', 'Checker', 'Tests', 'Clock'].filter(
      (field) => !section.includes(`**${field}:**`),
    )
    const named = [...section.matchAll(TEST_PATH)].map((match) => match[1] ?? '')
    const status = /\*\*Status:\*\* (planned|partly|holds)\b/.exec(section)?.[1]
    return [
      ...absent.map((field) => `${name} has no line **${field}:**`),
      ...(status === undefined ? [`${name}: status is one of planned, partly, holds`] : []),
      ...(status !== undefined && status !== 'planned' && named.length === 0
        ? [`${name} is said to hold and names no test`]
        : []),
      ...named
        .filter((path) => path.endsWith('.test.ts'))
        .flatMap((path) => objectionToTest(path, tests) ?? []),
      ...named
        .filter((path) => !path.endsWith('.test.ts') && !existsSync(repositoryRoot + path))
        .map((path) => `${name} names ${path}, which does not exist`),
    ].map((message) => ({ file, message }))
  })
  return [...missing, ...flawed]
}

/** `npm run X` in documents for which package.json has no script. */
export function unknownCommands(documents: SourceTree, scripts: readonly string[]): readonly Violation[] {
  return [...documents].flatMap(([file, text]) =>
    [...text.matchAll(/\bnpm run (?:--silent )?([a-z][a-z:-]*)/g)]
      .map((match) => match[1] ?? '')
      .filter((name) => !scripts.includes(name))
      .map((name) => ({
        file,
        message: `tells to run "npm run ${name}", which is no script of package.json`,
      })),
  )
}

/** Links and paths in documents that lead nowhere. */
export function deadLinks(documents: SourceTree, exists: (path: string) => boolean): readonly Violation[] {
  return [...documents].flatMap(([file, text]) => {
    const folder = file.includes('/') ? file.slice(0, file.lastIndexOf('/') + 1) : ''
    return [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
      .map((match) => match[1] ?? '')
      .filter((target) => !/^[a-z]+:/.test(target))
      .filter((target) => !exists(new URL(folder + target, 'file:///').pathname.slice(1)))
      .map((target) => ({ file, message: `links to ${target}, which does not exist` }))
  })
}

/** Rooms that have code and no line in ARCHITECTURE.md's map. */
export function unmappedRooms(architecture: string, tree: SourceTree): readonly string[] {
  const rooms = new Set([...tree.keys()].filter((file) => file.startsWith('src/')).map(roomOf))
  return [...rooms].filter((name) => !architecture.includes(`\`${name}`)).toSorted()
}
