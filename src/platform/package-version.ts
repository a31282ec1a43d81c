import { readFileSync } from 'node:fs'

let known: string | undefined

/** The version in package.json, two folders above this file both in `src/` and in the bundle. */
export function packageVersion(): string {
  if (known === undefined) {
    const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
    known = String((JSON.parse(text) as { version: unknown }).version)
  }
  return known
}
