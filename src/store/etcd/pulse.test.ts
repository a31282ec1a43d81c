import { describe, expect, it } from 'vitest'
import { Pulse } from './pulse.ts'

/** A clock that only moves when told, and probes whose end the test decides. */
function arrange() {
  let now = 0
  let due: { readonly at: number; readonly task: () => void }[] = []
  const probes: { succeed: () => void; fail: () => void }[] = []
  const changes: boolean[] = []
  const timing = {
    now: () => now,
    after(ms: number, task: () => void) {
      const timer = { at: now + ms, task }
      due.push(timer)
      return () => {
        due = due.filter((one) => one !== timer)
      }
    },
  }
  const probe = (): Promise<void> =>
    new Promise((resolve, reject) => {
      probes.push({ succeed: resolve, fail: () => reject(new Error('nobody')) })
    })
  const pulse = new Pulse({ probe, onChange: () => changes.push(pulse.isUp), timing }, { everyMs: 500 })
  pulse.start()
  return {
    pulse,
    probes,
    changes,
    async pass(ms: number): Promise<void> {
      now += ms
      const ready = due.filter(({ at }) => at <= now)
      due = due.filter(({ at }) => at > now)
      for (const { task } of ready) task()
      await settled()
    },
    waiting: () => due.length,
  }
}

/** Lets the promises of a probe that ended be heard. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}

describe('the pulse of etcd', () => {
  it('asks only when nothing has proved a quorum for a while', async () => {
    const { pulse, probes, pass } = arrange()
    pulse.proved()
    await pass(400)
    pulse.proved()
    await pass(100)
    expect(probes).toHaveLength(0)
    await pass(400)
    expect(probes).toHaveLength(1)
    probes[0]?.succeed()
    await settled()
    expect(pulse.isUp).toBe(true)
  })

  it('says no when a probe got nowhere, and asks on until one does', async () => {
    const { pulse, probes, changes, pass } = arrange()
    pulse.proved()
    await pass(1)
    pulse.check()
    probes[0]?.fail()
    await settled()
    expect(changes).toEqual([true, false])
    await pass(500)
    probes[1]?.succeed()
    await settled()
    expect(changes).toEqual([true, false, true])
  })

  it('believes a proof more than a probe that began before it', async () => {
    const { pulse, probes, pass } = arrange()
    pulse.check()
    await pass(10)
    pulse.proved()
    probes[0]?.fail()
    await settled()
    expect(pulse.isUp).toBe(true)
  })

  it('has one probe under way at a time, and none after its end', async () => {
    const { pulse, probes, waiting, pass } = arrange()
    pulse.check()
    pulse.check()
    expect(probes).toHaveLength(1)
    pulse.stop()
    probes[0]?.succeed()
    await pass(1000)
    pulse.check()
    expect([probes.length, waiting(), pulse.isUp]).toEqual([1, 0, false])
  })
})
