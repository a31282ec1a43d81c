import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const client = fileURLToPath(new URL('./client/index.ts', import.meta.url))
const shared = { resolve: { alias: { '#client': client } } }

/** One project a kind of test (style.md §2.10): the name of a file says what it costs. */
export default defineConfig({
  test: {
    projects: [
      {
        ...shared,
        test: {
          name: 'unit',
          include: [
            'src/**/*.test.ts',
            'client/**/*.test.ts',
            'dashboard/**/*.test.ts',
            'test/*.test.ts',
            'test/{house,support,bench,chaos,fuzz}/**/*.test.ts',
          ],
          exclude: ['**/*.pg.test.ts'],
          pool: 'threads',
          // A module of ours holds no state (no `let` beside caches of what never changes), so files of one worker share what
          // they load; a worker and its imports for each file cost as much as the tests.
          isolate: false,
          // The usual number leaves a core free, which on two is one of two.
          maxWorkers: '100%',
          sequence: { groupOrder: 1 },
          testTimeout: 15_000,
        },
      },
      {
        ...shared,
        test: { name: 'sim', include: ['test/sim/**/*.test.ts'], pool: 'threads', testTimeout: 180_000 },
      },
      {
        ...shared,
        test: {
          name: 'conformance',
          include: ['test/conformance/**/*.test.ts'],
          exclude: ['**/*.pg.test.ts'],
          pool: 'forks',
          // Processes that elect and lease by the clock: not beside each other on two cores.
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        ...shared,
        test: {
          name: 'pg-18',
          include: [
            'src/**/*.pg.test.ts',
            'test/conformance/**/*.pg.test.ts',
            'test/integration/**/*.test.ts',
          ],
          env: { PG_METAKO_TEST_PG: '18' },
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 120_000,
        },
      },
      {
        ...shared,
        test: {
          name: 'pg-15',
          include: [
            'src/**/*.pg.test.ts',
            'test/conformance/**/*.pg.test.ts',
            'test/integration/**/*.test.ts',
          ],
          // What does not depend on the version of PostgreSQL runs once, in pg-18.
          exclude: ['test/integration/once/**'],
          env: { PG_METAKO_TEST_PG: '15' },
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 120_000,
        },
      },
      {
        ...shared,
        test: {
          name: 'chaos',
          include: ['test/chaos/**/*.pg.test.ts'],
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 120_000,
        },
      },
      {
        ...shared,
        test: {
          name: 'browser',
          include: ['test/browser/**/*.test.ts'],
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})
