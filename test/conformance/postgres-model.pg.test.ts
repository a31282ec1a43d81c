import { afterAll, afterEach, beforeAll, it } from 'vitest'
import { describePostgres } from '../support/postgres.ts'
import { RealDriver } from './postgres/real-driver.ts'
import { RealHosts } from './postgres/real-hosts.ts'
import { runScript } from './postgres/script.ts'
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

  it.each(scripts)('$name', async (script) => {
    // The embedded PostgreSQL has no programs but the server's own.
    if (script.tool !== undefined && !hosts.has(script.tool)) return
    await hosts.reset(script.hosts)
    driver = new RealDriver(hosts)
    await runScript(script, driver)
  })
})
