import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Path relative to the root of the repository, with `/`, to the text of the file. */
export type SourceTree = ReadonlyMap<string, string>

/** Something that breaks a rule of the house: where, and what to do. */
export type Violation = { readonly file: string; readonly message: string }

export const repositoryRoot: string = fileURLToPath(new URL('../../', import.meta.url))

/** Everything that git tracks or would track: what a clone has, and what the next commit may bring. */
export function trackedFiles(): readonly string[] {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
    cwd: repositoryRoot,
    encoding: 'utf8',
  })
  return [...new Set(listed.split('\0'))].filter((path) => path !== '' && existsSync(repositoryRoot + path))
}

export function readTree(wanted: (path: string) => boolean): SourceTree {
  return new Map(
    trackedFiles()
      .filter(wanted)
      .map((path) => [path, readFileSync(repositoryRoot + path, 'utf8')]),
  )
}

/** A tree for a test that plants something. */
export function plantedTree(files: Readonly<Record<string, string>>): SourceTree {
  return new Map(Object.entries(files))
}

export const isTypeScript = (path: string): boolean => /\.tsx?$/.test(path)
export const isTest = (path: string): boolean => path.endsWith('.test.ts')
/** Code of the product: what ends up in `dist/`. */
export const isProduct = (path: string): boolean =>
  isTypeScript(path) && !isTest(path) && /^(src|client|dashboard)\//.test(path)

/** One line for each violation; empty when there is none. Compare with `[]`, so that a failure shows the lines. */
export function asLines(violations: readonly Violation[]): readonly string[] {
  return violations.map(({ file, message }) => `${file}: ${message}`)
}
