import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { withSourcePlaces } from './source-place.ts'

let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'metako-map-'))
  // One segment: line 3, column 5 of the bundle is line 12, column 9 of the source.
  const mappings = ';;IAWQ'
  const map = { version: 3, file: 'a.cjs', sources: ['../../src/ha/loop.ts'], names: [], mappings }
  writeFileSync(join(folder, 'a.cjs.map'), JSON.stringify(map))
})

afterAll(() => rmSync(folder, { recursive: true }))

it('names the line that was written', () => {
  const stack = 'Error: x\n    at HaLoop.run (program/a.cjs:3:5)\n    at node:internal/timers:1:2'
  expect(withSourcePlaces(stack, folder)).toBe(
    'Error: x\n    at HaLoop.run (src/ha/loop.ts:12:9)\n    at node:internal/timers:1:2',
  )
})

it('leaves a place as it is where no map is beside the file, or the map is broken', () => {
  writeFileSync(join(folder, 'broken.cjs.map'), '{')
  for (const name of ['packages.cjs', 'broken.cjs']) {
    const stack = `Error: x\n    at y (program/${name}:3:5)`
    expect(withSourcePlaces(stack, folder)).toBe(stack)
  }
})
