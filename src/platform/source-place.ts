import { readFileSync } from 'node:fs'
import { SourceMap } from 'node:module'

/** A place in a file of the bundle. */
const BUNDLED = /(\/[^\s()]+\/program\/[^\s()/]+\.cjs):(\d+):(\d+)/g

const maps = new Map<string, SourceMap | undefined>()

/** A stack trace that names the files and lines that were written, not those that were built of them. */
export function withSourcePlaces(stack: string): string {
  return stack.replaceAll(BUNDLED, (place: string, ...[file = '', line, column]: string[]) => {
    const entry = mapOf(file)?.findEntry(Number(line) - 1, Number(column) - 1)
    if (entry === undefined || !('originalSource' in entry)) return place
    const source = entry.originalSource.replace(/^(?:\.\.\/)+/, '')
    return `${source}:${entry.originalLine + 1}:${entry.originalColumn + 1}`
  })
}

/** Read when the first error is told. Packages have none: their places stay as they are. */
function mapOf(file: string): SourceMap | undefined {
  if (!maps.has(file)) maps.set(file, readMap(`${file}.map`))
  return maps.get(file)
}

function readMap(path: string): SourceMap | undefined {
  try {
    return new SourceMap(JSON.parse(readFileSync(path, 'utf8')) as ConstructorParameters<typeof SourceMap>[0])
  } catch {
    return undefined
  }
}
