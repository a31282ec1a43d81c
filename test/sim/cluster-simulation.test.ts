import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { readSchedule } from './cluster/schedule-text.ts'
import { runSeed } from './cluster/seed-runner.ts'

const SEEDS = 40
const MINUTES = 2
const WAITING_SEEDS = 30
const STORM_SEEDS = 40
const STORM_MINUTES = 5
const FOUND = fileURLToPath(new URL('./found', import.meta.url))

describe('the whole cluster under kills, losses of power, pauses, partitions and an operator', () => {
  it(`keeps its promises in ${SEEDS} runs, the same to the event when run again, and is whole soon after`, async () => {
    const sum = { acknowledged: 0, epochs: 0, events: 0 }
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const verdict = await runSeed({ seed, minutes: MINUTES, weather: 'steady' }, { twice: true })
      expect(
        verdict,
        `npm run sim -- --seed ${seed} --minutes ${MINUTES} --weather steady --mode async`,
      ).toMatchObject({ kind: 'clean' })
      if (verdict.kind !== 'clean') continue
      sum.acknowledged += verdict.result.acknowledged
      sum.epochs += verdict.result.epochs
      sum.events += verdict.result.events
    }
    // Runs in which nothing happens would prove nothing.
    expect(sum.acknowledged).toBeGreaterThan(100 * SEEDS)
    expect(sum.epochs).toBeGreaterThan(1.5 * SEEDS)
    expect(sum.events).toBeGreaterThan(5000 * SEEDS)
  })

  it('loses nothing that was acknowledged where commits wait for standbys, in any mode of waiting', async () => {
    for (let seed = 1; seed <= WAITING_SEEDS; seed += 1) {
      const verdict = await runSeed(
        { seed, minutes: MINUTES, weather: 'steady', mode: seed % 4 === 0 ? 'any' : 'quorum' },
        { twice: true },
      )
      expect(
        verdict,
        `npm run sim -- --seed ${seed} --minutes ${MINUTES} --weather steady --mode quorum`,
      ).toMatchObject({
        kind: 'clean',
      })
    }
  })

  it(`heals within the limit after each of the storms of ${STORM_MINUTES} minutes, in any mode`, async () => {
    const sum = { faults: 0, epochs: 0, simulatedMs: 0 }
    for (let seed = 1; seed <= STORM_SEEDS; seed += 1) {
      const verdict = await runSeed({ seed, minutes: STORM_MINUTES, mode: 'any' }, { twice: true })
      expect(verdict, `npm run sim -- --seed ${seed} --minutes ${STORM_MINUTES}`).toMatchObject({
        kind: 'clean',
      })
      if (verdict.kind !== 'clean') continue
      sum.faults += verdict.result.schedule.length
      sum.epochs += verdict.result.epochs
      sum.simulatedMs += verdict.result.simulatedMs
    }
    expect(sum.faults).toBeGreaterThan(4 * STORM_SEEDS)
    expect(sum.epochs).toBeGreaterThan(1.3 * STORM_SEEDS)
    // The calm is jumped over, else nobody could run them by the thousand.
    expect(sum.simulatedMs).toBeLessThan(0.2 * STORM_SEEDS * STORM_MINUTES * 60_000)
  })

  it('keeps them with two databases and a witness, in any mode, and heals', async () => {
    let epochs = 0
    for (let seed = 1; seed <= WAITING_SEEDS; seed += 1) {
      const run = { seed, minutes: MINUTES, weather: 'steady', mode: 'any', witness: 'always' } as const
      const verdict = await runSeed(run, { twice: true })
      expect(verdict, JSON.stringify(run)).toMatchObject({ kind: 'clean' })
      if (verdict.kind === 'clean') epochs += verdict.result.epochs
    }
    expect(epochs).toBeGreaterThan(1.3 * WAITING_SEEDS)
  })

  it('changes nothing where nothing happens', async () => {
    for (let seed = 1; seed <= 10; seed += 1) {
      const verdict = await runSeed({ seed, minutes: 1, profile: 'calm' })
      expect(verdict).toMatchObject({ kind: 'clean', result: { epochs: 1, unknown: 0, missing: 0 } })
    }
  })

  it.each(readdirSync(FOUND).filter((file) => file.endsWith('.txt')))(
    'keeps away what it once found: %s',
    async (file) => {
      const { options, schedule } = readSchedule(readFileSync(`${FOUND}/${file}`, 'utf8'))
      expect(await runSeed({ ...options, schedule })).toMatchObject({ kind: 'clean' })
    },
  )
})
