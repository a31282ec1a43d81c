import { afterAll, beforeAll, expect, it } from 'vitest'
import { isComplaint, LiveRouter } from '../fuzz/live-router.ts'
import { describePostgres } from '../support/postgres.ts'

/** A small part of `npm run fuzz`, on a router's process as it is shipped. */
const MESSAGES = 3000

describePostgres('hostile clients', (postgres) => {
  let router: LiveRouter
  beforeAll(async () => {
    router = new LiveRouter(postgres())
    await router.start()
  })
  afterAll(() => router.dispose())

  it('are refused or closed within the limits, and cost neither the router its life nor its memory nor others their service', async () => {
    const report = await router.run({ messages: MESSAGES, from: 1, isPatient: false })
    expect(report.problems).toEqual([])
    expect(report.messages).toBeGreaterThan(MESSAGES)
    expect(report.statements).toBeGreaterThan(50)
  })

  it('would be caught by what the router says of itself', () => {
    expect(isComplaint('{"level":"error","time":1,"msg":"Unexpected error: the router ends"}')).toBe(true)
    expect(isComplaint('{"level":"info","time":1,"msg":"Client connections ended"}')).toBe(false)
  })

  it('would be caught at a router that ends', async () => {
    await router.kill()
    const report = await router.run({ messages: 1, from: 1, isPatient: false })
    expect(report.problems.join('\n')).toContain('the router has ended: SIGKILL')
  })
})
