import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, it } from 'vitest'
import { describePostgres, type TestPostgres } from '../support/postgres.ts'
import { RealDriver } from './postgres/real-driver.ts'
import { RealHosts } from './postgres/real-hosts.ts'
import { expectScript, type Script } from './postgres/script.ts'
import { scripts } from './postgres/scripts.ts'

/** The same scripts run on the model of the simulator: test/sim/postgres/conformance.test.ts. */
describePostgres('PostgreSQL itself', (postgres) => {
  let hosts: RealHosts
  let driver: RealDriver | undefined

  beforeAll(async () => {
    hosts = await RealHosts.create(postgres(), ['n1', 'n2', 'n3'])
  })
  afterEach(async () => {
    await driver?.end()
    driver = undefined
  })
  afterAll(async () => {
    await hosts?.dispose()
  })

  it.each(scriptsFor(postgres).map((script) => [script.name, script] as const))('%s', async (_, script) => {
    await hosts.reset(script.hosts)
    driver = new RealDriver(hosts)
    await expectScript(script, driver)
  })
})

/** The embedded PostgreSQL has no programs but the server's own. */
function scriptsFor(postgres: () => TestPostgres): readonly Script[] {
  const has = (tool: string): boolean => {
    try {
      return existsSync(join(postgres().binaries.folder, tool))
    } catch {
      // None is installed at all: everything is left out, and `describePostgres` says so.
      return true
    }
  }
  return scripts.filter(({ tool }) => tool === undefined || has(tool))
}
