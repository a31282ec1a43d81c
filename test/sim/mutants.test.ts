import { beforeAll, describe, expect, it } from 'vitest'
import { buildSimulator, huntMutant, listMutants } from './mutants/planted.ts'

describe('the simulator finds a planted bug', () => {
  let build = ''

  beforeAll(async () => {
    build = await buildSimulator()
  }, 120_000)

  it.concurrent.each(listMutants().map((mutant) => [mutant.name, mutant] as const))(
    '%s',
    async (_name, mutant) => {
      const verdict = await huntMutant(mutant, build)
      expect(verdict).toMatchObject({ kind: 'found', message: expect.stringContaining(mutant.checker) })
    },
    180_000,
  )
})
