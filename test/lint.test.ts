import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { importTable, roomNames } from './house/import-table.ts'
import { lintOverrides } from './house/lint-overrides.ts'
import { repositoryRoot } from './house/source-tree.ts'

const CONFIG = '.oxlintrc.json'
/** Generated, and read by the other by `extends`. */
const ROOMS = '.oxlintrc.rooms.json'

describe('the allow-lists of the linter', () => {
  it('are those of the import table', () => {
    const read = (): unknown => JSON.parse(readFileSync(repositoryRoot + ROOMS, 'utf8'))
    const wanted = { overrides: lintOverrides() }
    if (process.env['UPDATE'] === '1' && !isDeepStrictEqual(read(), wanted)) {
      writeFileSync(repositoryRoot + ROOMS, `${JSON.stringify(wanted, undefined, 2)}\n`)
    }
    expect(read(), 'stale: npm run docs').toEqual(wanted)
  })
})

type Diagnostic = { readonly code: string; readonly filename: string }

/** One run of the real linter with the real config on a tree in which every file breaks one rule. */
describe('the linter', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pg-metako-lint-'))
  let found: readonly Diagnostic[] = []

  beforeAll(async () => {
    plant(folder, { ...planted(), ...forbiddenArrows(), ...allowedArrows() })
    found = await lint(folder)
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const codesIn = (file: string) => found.filter((one) => one.filename === file).map((one) => one.code)

  it.each(Object.keys(planted()))('finds what is planted in %s', (file) => {
    const rule = file.slice(file.lastIndexOf('/') + 1).replace(/(\.test)?\.ts$/, '')
    expect(codesIn(file).map((code) => code.replace(/^.*\((.*)\)$/, '$1'))).toContain(rule)
  })

  it('finds every arrow that the table forbids, in every room', () => {
    const missed = Object.keys(forbiddenArrows()).filter(
      (file) => !codesIn(file).includes('eslint(no-restricted-imports)'),
    )
    expect(missed).toEqual([])
  })

  it('lets every arrow pass that the table allows', () => {
    const objected = Object.keys(allowedArrows()).filter((file) =>
      codesIn(file).includes('eslint(no-restricted-imports)'),
    )
    expect(objected).toEqual([])
  })
})

/** File to text; the name of the file is the rule that it breaks. */
function planted(): Readonly<Record<string, string>> {
  const long = Array.from({ length: 501 }, (_, index) => `export const x${index} = ${index}`).join('\n')
  const body = Array.from({ length: 71 }, (_, index) => `  total += ${index}`).join('\n')
  return {
    'src/agent/no-floating-promises.ts':
      'async function work(): Promise<void> {}\nexport function go(): void {\n  work()\n}\n',
    'src/agent/no-misused-promises.ts':
      'export const work = async (): Promise<void> => {}\nexport const go = (on: (f: () => void) => void): void => on(work)\n',
    'src/agent/switch-exhaustiveness-check.ts':
      "type Kind = { readonly kind: 'a' } | { readonly kind: 'b' }\nexport function f(x: Kind): number {\n  switch (x.kind) {\n    case 'a':\n      return 1\n    default:\n      return 2\n  }\n}\n",
    'src/agent/await-thenable.ts': 'export async function f(): Promise<void> {\n  await 1\n}\n',
    'src/agent/only-throw-error.ts': "export function f(): never {\n  throw 'x'\n}\n",
    'src/agent/no-explicit-any.ts': 'export const x = (y: any): unknown => y\n',
    'src/agent/no-non-null-assertion.ts': 'export const x = (y: string | undefined): string => y!\n',
    'src/agent/no-cycle.ts': "import { b } from './no-cycle-other.ts'\nexport const a = (): unknown => b\n",
    'src/agent/no-barrel-file.ts': "export * from './no-cycle-other.ts'\n",
    'src/agent/no-default-export.ts': 'export default 1\n',
    'src/agent/max-lines.ts': `${long}\n`,
    'src/agent/max-lines-per-function.ts': `export function f(): number {\n  let total = 0\n${body}\n  return total\n}\n`,
    'src/agent/max-params.ts': 'export const f = (a: 1, b: 2, c: 3, d: 4): number => a + b + c + d\n',
    'src/agent/max-depth.ts':
      'export function f(x: boolean): number {\n  if (x) {\n    while (x) {\n      if (x) {\n        while (x) {\n          if (x) return 1\n        }\n      }\n    }\n  }\n  return 0\n}\n',
    'src/agent/eqeqeq.ts': 'export const f = (a: number, b: number): boolean => a == b\n',
    'src/agent/no-unused-vars.ts': 'const unused = 1\nexport {}\n',
    'src/agent/no-restricted-globals.ts': 'export const f = (): unknown => process.env\n',
    'src/agent/no-restricted-properties.ts': 'export const f = (): number => Date.now()\n',
    'src/model/no-restricted-globals.ts': 'export const f = (): unknown => new Date()\n',
    'src/ha/decide/no-restricted-globals.ts': 'export const f = (): unknown => setTimeout(() => {}, 1)\n',
    'src/raft/no-restricted-properties.ts': 'export const f = (): number => Math.random()\n',
    'test/no-focused-tests.test.ts': "import { it } from 'vitest'\nit.only('x', () => {})\n",
    'test/no-disabled-tests.test.ts': "import { it } from 'vitest'\nit.skip('x', () => {})\n",
    'test/no-floating-promises.test.ts': 'async function work(): Promise<void> {}\nwork()\n',
  }
}

/** One file for each arrow that the table forbids: into other rooms, into packages, into Node, into the client. */
function forbiddenArrows(): Readonly<Record<string, string>> {
  return Object.fromEntries(
    rooms().flatMap(({ folder, depth, rule }) => {
      const others = roomNames.filter((name) => name !== folder.split('/')[1] && !rule.rooms.includes(name))
      const specifiers = [
        ...others.map((name) => `${'../'.repeat(depth)}${name}/door.ts`),
        ...(rule.touchesNode ? [] : ['node:fs']),
        ...(rule.speaksToApi ? [] : ['#client']),
        'vitest',
        '@types/pg',
        ...(rule.packages.includes('pg') ? [] : ['pg']),
      ]
      return specifiers.map((specifier, index) => arrow(`${folder}/forbidden-${index}.ts`, specifier))
    }),
  )
}

function allowedArrows(): Readonly<Record<string, string>> {
  return Object.fromEntries(
    rooms().flatMap(({ folder, depth, rule }) => {
      const specifiers = [
        './door.ts',
        ...rule.rooms.filter((name) => name !== 'cli').map((name) => `${'../'.repeat(depth)}${name}/door.ts`),
        ...(rule.touchesNode ? ['node:fs', 'node:fs/promises'] : []),
        ...(rule.speaksToApi ? ['#client'] : []),
        ...rule.packages,
      ]
      return specifiers.map((specifier, index) => arrow(`${folder}/allowed-${index}.ts`, specifier))
    }),
  )
}

function arrow(file: string, specifier: string): readonly [string, string] {
  return [file, `import { x } from '${specifier}'\nexport const y = (): unknown => x\n`]
}

function rooms() {
  return importTable
    .filter((rule) => rule.path.startsWith('src/') && !rule.path.endsWith('.ts'))
    .map((rule) => ({ folder: rule.path, depth: rule.path.split('/').length - 1, rule }))
}

function plant(folder: string, files: Readonly<Record<string, string>>): void {
  const all: Record<string, string> = {
    ...files,
    'src/agent/no-cycle-other.ts': "import { a } from './no-cycle.ts'\nexport const b = (): unknown => a\n",
    'package.json': '{ "type": "module" }',
    'tsconfig.json': JSON.stringify({
      extends: `${repositoryRoot}tsconfig.base.json`,
      compilerOptions: { noEmit: true, types: [] },
      include: ['src', 'test'],
    }),
    [CONFIG]: readFileSync(repositoryRoot + CONFIG, 'utf8'),
    [ROOMS]: readFileSync(repositoryRoot + ROOMS, 'utf8'),
  }
  for (const [file, text] of Object.entries(all)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    writeFileSync(join(folder, file), text)
  }
  symlinkSync(`${repositoryRoot}node_modules`, join(folder, 'node_modules'))
}

function lint(folder: string): Promise<readonly Diagnostic[]> {
  const oxlint = `${repositoryRoot}node_modules/oxlint/bin/oxlint`
  return new Promise((resolve, reject) => {
    const options = { cwd: folder, maxBuffer: 64 * 1024 * 1024, timeout: 60_000 }
    execFile(process.execPath, [oxlint, '--format=json'], options, (_error, stdout, stderr) => {
      try {
        resolve((JSON.parse(stdout) as { diagnostics: readonly Diagnostic[] }).diagnostics)
      } catch {
        reject(new Error(`Cannot read the linter's report: ${stdout.slice(0, 500)}${stderr.slice(0, 500)}`))
      }
    })
  })
}
