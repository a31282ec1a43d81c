import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { describePostgres } from '../../support/postgres.ts'
import { behaviours, DRIVERS, outcomeOf, PLACES, placeTitles } from './behaviours.ts'
import type { DriverAnswer } from './driver-program.ts'
import { DriverWorld, driversHere } from './driver-world.ts'

/** What the drivers of five communities do through the router; the table is `behaviours.ts`. */
const here = driversHere()
const isAllRequired = process.env['PG_METAKO_TEST_REQUIRE'] === 'all'
/** All of it runs before the first test looks: five programs at a time, and one restart for all. */
const RUN_MS = 300_000

describePostgres('drivers', (postgres) => {
  let world: DriverWorld
  beforeAll(async () => {
    world = new DriverWorld(postgres())
    await world.start(here)
    await world.run(here)
  }, RUN_MS)
  afterAll(() => world.dispose())

  for (const driver of DRIVERS) {
    describe.skipIf(!here.includes(driver) && !isAllRequired)(driver, () => {
      for (const place of PLACES) {
        describe(`on ${placeTitles[place]}`, () => {
          for (const behaviour of behaviours) {
            const outcome = outcomeOf(behaviour, driver, place)
            const answer = (): DriverAnswer | undefined => world.answer(driver, place, behaviour.name)
            switch (outcome.kind) {
              case 'absent':
                break
              case 'value':
                it(`${behaviour.name}: ${behaviour.promise}`, () => {
                  expect(answer()).toStrictEqual({ kind: 'value', value: outcome.value })
                })
                break
              case 'limit':
                it(`${behaviour.name}: ${outcome.promise}`, () => {
                  expect(answer()).toStrictEqual({ kind: 'value', value: outcome.value })
                })
                break
              case 'fails':
                it(`${behaviour.name}: ${outcome.promise}`, () => {
                  expect(answer()).toStrictEqual({ kind: 'error', error: outcome.sqlState })
                })
                break
              case 'refused':
                it(`${behaviour.name}: ${outcome.promise}`, () => {
                  const errors = [outcome.sqlState, 'CLOSED']
                  expect(answer()).toMatchObject({ kind: 'error', error: expect.toBeOneOf(errors) })
                })
                break
            }
          }
        })
      }
    })
  }
})
