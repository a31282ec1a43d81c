import { readFileSync } from 'node:fs'
import { SourceMap } from 'node:module'
import { fileURLToPath } from 'node:url'

/** A place in a file of the bundle, as `program-files.ts` calls it. */
const BUNDLED = /\bprogram\/([\w~.-]+\.cjs):(\d+):(\d+)/g
/** Where this file is once it is bundled: among all others. */
const FOLDER = fileURLToPath(new URL('.', import.meta.url))

const maps = new Map<string, SourceMap | undefined>()

/** A stack trace that names the files and lines that were written, not those that were built of them. */
export function withSourcePlaces(stack: string, folder: string = FOLDER): string {
  return stack.replaceAll(BUNDLED, (place: string, ...[name = '', line, column]: string[]) => {
    const entry = mapOf(`${folder}/${name}.map`)?.findEntry(Number(line) - 1, Number(column) - 1)
    if (entry === undefined || !('originalSource' in entry)) return place
    const source = entry.originalSource.replace(/^(?:\.\.\/)+/, '')
    return `${source}:${entry.originalLine + 1}:${entry.originalColumn + 1}`
  })
}

/** Read when the first error is told. Packages have none: their places stay as they are. */
function mapOf(path: string): SourceMap | undefined {
  if (!maps.has(path)) maps.set(path, readMap(path))
  return maps.get(path)
}

function readMap(path: string): SourceMap | undefined {
  try {
    return new SourceMap(JSON.parse(readFileSync(path, 'utf8')) as ConstructorParameters<typeof SourceMap>[0])
  } catch {
    return undefined
  }
}
