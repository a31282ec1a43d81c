import { describe, it } from 'vitest'
import { ModelDriver } from '../../conformance/postgres/model-driver.ts'
import { expectScript } from '../../conformance/postgres/script.ts'
import { scripts } from '../../conformance/postgres/scripts.ts'

const SEEDS = 5

/** The same scripts run on real PostgreSQL: test/conformance/postgres-model.pg.test.ts. */
describe('the model of PostgreSQL', () => {
  it.each(scripts.map((script) => [script.name, script] as const))('%s', async (_, script) => {
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      await expectScript(script, await ModelDriver.create(script.hosts, seed))
    }
  })
})
