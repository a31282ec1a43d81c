/** Writes the table of figures in README.md from `docs/bench/*.json`; with `--check` only says whether it is stale. */
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { benchTable, withTable } from './bench-table.mjs'
import { root } from './child.mjs'

const folder = `${root}docs/bench`
const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.json')) : []
const reports = names.toSorted().map((name) => JSON.parse(readFileSync(`${folder}/${name}`, 'utf8')))
const path = `${root}README.md`
const before = readFileSync(path, 'utf8')
const after = withTable(before, benchTable(reports))

if (process.argv.includes('--check')) {
  if (after !== before) {
    process.stderr.write('The figures in README.md are not those of docs/bench: run npm run bench:readme\n')
    process.exitCode = 1
  }
} else if (after !== before) {
  writeFileSync(path, after)
}
